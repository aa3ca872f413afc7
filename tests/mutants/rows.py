"""All rows, in the order in which they are tried and shown."""

from tests.mutants.ahead import AHEAD_OF_THE_LOG
from tests.mutants.choosing import CHOOSING
from tests.mutants.deciding import DECIDING
from tests.mutants.known import KNOWN
from tests.mutants.moving import MOVING
from tests.mutants.remembering import REMEMBERING
from tests.mutants.sending import SENDING
from tests.mutants.supervision import SUPERVISION
from tests.mutants.table import MUTANTS
from tests.mutants.takeover import TAKEOVER
from tests.mutants.telling import TELLING

ROWS = (
    *MUTANTS, *DECIDING, *SENDING, *MOVING, *TAKEOVER, *SUPERVISION, *CHOOSING, *TELLING, *KNOWN, *REMEMBERING,
    *AHEAD_OF_THE_LOG,
)  # fmt: skip
