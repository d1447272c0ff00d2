"""What clearance keeps, by subject; import from here."""

from clearance.models.cases import Case, ChangeRequest, Confirmation, Deadline
from clearance.models.documents import AttachedFile
from clearance.models.gates import GateMove, Hold, Release
from clearance.models.inspections import Appointment, Evidence, InspectionOrder, PenaltyCase
from clearance.models.papers import PortPaper, _code
from clearance.models.risk import CreditStanding, RiskRule, Selection
from clearance.models.times import ClearanceTime, TimeLimit

__all__ = [
    "Appointment",
    "AttachedFile",
    "Case",
    "ChangeRequest",
    "ClearanceTime",
    "Confirmation",
    "CreditStanding",
    "Deadline",
    "Evidence",
    "GateMove",
    "Hold",
    "InspectionOrder",
    "PenaltyCase",
    "PortPaper",
    "Release",
    "RiskRule",
    "Selection",
    "TimeLimit",
    "_code",
]
