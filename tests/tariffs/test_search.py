"""Everyday goods are found among the first three, in the real tree of 8 digits."""

from __future__ import annotations

from datetime import date

import pytest

from tariffs import loading, search
from tests.tariffs.test_loading import SHARED, needs_shared

#: words -> headings of which one must be among the first three
GOODS = """手机:8517 笔记本电脑:8471 苹果:0808 香蕉:0803 咖啡:0901 啤酒:2203 葡萄酒:2204 红酒:2204 大米:1006 小麦:1001 玉米:1005
大豆:1201 牛肉:0201,0202 猪肉:0203 三文鱼:0302,0303 奶粉:0402 茶叶:0902 榴莲:0810 樱桃:0809 巧克力:1806 橄榄油:1509 水泥:2523 铁矿:2601
煤:2701 原油:2709 轮胎:4011 橡胶:4001 汽车:8703 自行车:8712 冰箱:8418 洗衣机:8450 空调:8415 电视机:8528 微波炉:8516 打印机:8443
锂电池:8507 手表:9101,9102 玩具:9503 沙发:9401 牙膏:3306 香水:3303 口红:3304 纸尿裤:9619 T恤:6109 牛仔裤:6203 皮鞋:6403 雨伞:6601
coffee:0901 beer:2203 wine:2204 rice:1006 laptop:8471 smartphone:8517 bananas:0803 apples:0808 chocolate:1806 olive_oil:1509
tyres:4011 bicycle:8712 refrigerator:8418 television:8528 toys:9503 t-shirt:6109 umbrella:6601 piano:9201 honey:0409 salt:2501
cement:2523 furniture:9403 soap:3401 candles:3406 potatoes:0701 eggs:0407 shrimp:0306 tractor:8701 mattress:9404 guitar:9202
perfume:3303 watch:9101,9102 camera:8525,9006 headphones:8518 car:8703 lithium_battery:8507 garlic:0703 knife:8211"""


@needs_shared
@pytest.mark.django_db
def test_everyday_goods_are_among_the_first_three():
    for file, name in (("hs_nomenclature_en.csv", "hs-2022"), ("cn_tariff_lines_hs8_2023.csv", "cn-hs8-2023")):
        loading.load(SHARED / file, actor="test", map_name=name)
    missed = []
    for pair in GOODS.split():
        words, headings = pair.replace("_", " ").split(":")
        found = [line.code[:4] for line in search.find(words, date(2026, 10, 12), limit=10)[:3]]
        if not set(found) & set(headings.split(",")):
            missed.append((words, found))
    assert missed == []
    assert [line.code for line in search.find("8471.30", date(2026, 10, 12))] == ["847130", "84713010", "84713090"]
    assert search.find("xqzvw", date(2026, 10, 12)) == []
    near = search.find("refridgerator", date(2026, 10, 12), limit=5)  # misspelt
    assert any(line.code.startswith("8418") for line in near)
