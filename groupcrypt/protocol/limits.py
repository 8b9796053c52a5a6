"""Every number of the protocol in one place (spec 01).

Rules of this file:
- First the wire limits: every implementation must agree on them, or one accepts what another
  refuses.
- Then local policy: an implementation may choose smaller ones.
- The house test compares each name and number with the table in spec/01-limits.md.
"""

# Wire limits (spec 01.1): the same in every implementation.
VERSION = 1
MAX_FORWARD_JUMP = 2_000  # iterations; a legal jump stays under 10 ms
MAX_ITERATION = 2**32 - 1
MAX_EPOCH = 2**32 - 1
MAX_GENERATION = 2**32 - 1
MAX_RECORD_BYTES = 96 * 1024  # anything on a topic
MAX_ENTRY_BYTES = 64 * 1024  # a log entry, before sealing
MAX_CONTENT_BYTES = 64 * 1024  # one content, encoded
MAX_BUNDLE_BYTES = 72 * 1024  # all contents of one frame, encoded
MAX_BUNDLE_CONTENTS = 64
MAX_PAIRWISE_BYTES = 72 * 1024  # one pairwise payload, before padding
MAX_GROUP_DEVICES = 1_024
MAX_ACCOUNT_DEVICES = 8
MAX_DEVICE_LIST_BYTES = 4_096  # signed; eight devices and 32 ancestors take 3,100
MAX_LIST_ANCESTORS = 32  # hashes of earlier lists in a device list
MAX_STATEMENT_BYTES = 256  # a signed leave or confirm
MAX_KEPT_DEVICES = 256  # that one statement of a branch keeps
MIN_TIMER_SECONDS = 5
MAX_TIMER_SECONDS = 4 * 7 * 24 * 3600
MAX_CARD_BYTES = 512  # before base64
MAX_SERVER_BYTES = 261  # "host:port" with the longest DNS name
SAFETY_NUMBER_ROUNDS = 5_200
MAX_NAME_BYTES = 256
PADDING_FLOOR = 256  # bytes; Padme above it
SEGMENT_RECORDS = 512  # positions of one topic of a group; then the next segment begins
UPDATE_DISTANCE = 8  # entries between a non-admin's updates; fewer in small groups (spec 09.6)
MAX_HEADS_CHAINS = 64  # in one statement of what was seen of each chain
MAX_RECEIPT_MESSAGES = 256  # that one receipt, or one word of what was seen, names
MAX_EXCERPT_BYTES = 1_024  # what a reply quotes
MAX_EMOJI_BYTES = 64  # a reaction
MAX_TIMER_JUMP = 65_536  # how far a timer's counter may be ahead of the one held
SIGNING_KEY_MESSAGES = 100  # frames under one signing key
SIGNING_KEY_SECONDS = 24 * 3600
MAX_REPORT_MESSAGES = 256  # in one report of messages
MAX_REPORT_BYTES = 1024 * 1024  # likewise
MAX_FILE_BYTES = 2**31  # an attachment, before padding
FILE_CHUNK_BYTES = 128 * 1024 - 48  # of a file in one chunk, which is 128 KiB sealed
MAX_FILE_NAME_BYTES = 255
MAX_MEDIA_TYPE_BYTES = 127
MAX_PREVIEW_BYTES = 4_096

# Local policy (spec 01.2): bounds on what is kept, and how long.
MAX_SKIPPED_PER_CHAIN = 1_000
MAX_SKIPPED_TOTAL = 20_000
SKIPPED_SECONDS = 7 * 24 * 3600
PREVIOUS_EPOCHS = 2
WATCH_SECONDS = 48 * 3600  # a closed topic is watched
MAX_WATCHED = 4  # closed topics of a group; the oldest goes
TAIL_RECORDS = 32  # last records of a topic, kept to be appended again
TAIL_BYTES = 256 * 1024  # likewise; at least one is kept
SILENCE_SECONDS = 48 * 3600  # unheard while we send; then the application is told
MAX_NEEDED_EPOCHS = 16  # older epochs kept (48 h at most) while messages in them wait for a key
PREVIOUS_EPOCH_SECONDS = 48 * 3600
MAX_HELD_PER_SENDER = 64
MAX_HELD_PER_GROUP = 256
MAX_HELD_BYTES = 1024 * 1024
MAX_KEY_REQUESTS_PER_CHAIN = 5
KEY_REQUEST_AGAIN_MS = 60_000  # until a key is asked for again; four times as long each time
MAX_KEY_ANSWERS = 480  # key requests answered in a minute, per group
KEY_REQUEST_STEP_MS = 250  # per device of the group: the time over which requests are spread
MAX_KEY_REQUEST_SPREAD_MS = 300_000
HEADS_MESSAGES = 50  # seen, until a member says again what it saw of each chain
HEADS_SECONDS = 600  # likewise
MAX_PENDING_SECRETS = 64  # epoch secrets held for entries not seen yet, per group
MAX_ENTRY_TRIES = 5
ADD_HOLD_SECONDS = 10  # what waits when others are added goes on after this, heard or not
ENTRY_PAUSE_SECONDS = 10  # manners between entries of one author, removals excepted
CONFIRM_PATIENCE_SECONDS = 30  # without a confirm; then an update or a removal supersedes
PQ_STEP_MESSAGES = 50
PQ_STEP_SECONDS = 24 * 3600
MAX_SKIPPED_PER_SESSION = 1_000
MAX_SESSION_JUMP = 2_000
SIGNED_PREKEY_SECONDS = 7 * 24 * 3600
SIGNED_PREKEY_GRACE_SECONDS = 14 * 24 * 3600
ONE_TIME_PREKEYS = 50  # kept in the pool
MAX_ONE_TIME_HELD = 200  # private one-time prekeys; the oldest go first
MAX_ACCEPTED_HANDSHAKES = 4_096  # remembered for each signed prekey
MAX_RETIRED_CHANNELS = 3  # of one session, open for receiving only
RETIRED_CHANNEL_SECONDS = 7 * 24 * 3600  # as for skipped keys
START_CLOCK_SECONDS = 24 * 3600  # how far ahead of ours a start's clock may push ours
SESSION_RESET_SECONDS = 3600  # at most one replacement of a wedged session in this time
UPDATE_SECONDS = 7 * 24 * 3600
MAX_GENERATIONS = 4  # chains of one device in one epoch; the oldest goes
MAX_WAITING_PER_DEVICE = 256  # pairwise items that wait for a session
MAX_UNSENT_PER_GROUP = 4_096
MAX_UNSENT_DIRECT = 4_096  # direct messages that the server has not accepted
RECEIPT_MS = 1_000  # that a receipt waits for others to go with it
TYPING_SECONDS = 10  # that somebody is shown as typing
MAX_TYPING_UNANSWERED = 16  # payloads without an answer; then a device hears of no typing
UNREAD_SECONDS = 14 * 24 * 3600  # that a message with a timer waits to be shown
CLOCK_LEAP_SECONDS = 300  # that a clock may leap forward untold
TOMBSTONE_SECONDS = 35 * 24 * 3600  # that is remembered that a message is gone
MAX_ANSWERS_PER_HOUR = 256  # to requests of one device
MAX_STRANGERS = 64  # devices of people we do not know that have a session with us
STRANGER_SECONDS = 7 * 24 * 3600  # then a stranger makes place for another one
MAX_STRANGER_MESSAGES = 64  # direct ones that the application has not taken
MAX_STRANGER_GROUPS = 64  # held when a stranger's Welcome is taken
MAX_MET_PEOPLE = 8_192  # known from groups, without their card
MAX_INBOX = 16_384  # messages the application has not taken
MAX_OUTGOING_FILES = 64  # on their way to the server
MAX_BRANCHES = 8  # other logs of one group that are remembered
