/* Around the devices: the server, letters, faults, a hostile member, and what is asserted. */

#include "instances.pml"

/* Never set: each names the property that an assertion is about, in what pan says when it fails. */
hidden byte agreement, one_successor, exclusion, one_entry, carried, one_epoch, delivery, liveness, fork_seen;

/* --- The server (13): append and read. Uploads land at any time; a forking one keeps two orders --- */
#define RECORDS  7
typedef Topic { byte record[RECORDS]; byte size };
Topic topic[ENTRIES * ORDERS];
#define order(d)     ((ORDERS - 1) * ((d) >= B1))            /* which one a device is shown */
#define place(d)     (dev[d].base + ENTRIES * order(d))

inline append(where, what) {
    assert(topic[where].size < RECORDS);
    topic[where].record[topic[where].size] = what;
    topic[where].size++
}

inline append_all(where, what) {
    append(where, what);
    if
    :: ORDERS > 1 -> append(where + ENTRIES * (ORDERS - 1), what)
    :: else
    fi
}

byte lost_letters = LOST_LETTERS;       /* how often each of these may still happen */
byte crashes = CRASHES;
byte gone = GONE;
byte early = EARLY;
byte erasures = ERASURES;
byte was_live[ORDERS];                 /* epochs that were live at somebody */
byte made_up;                           /* an entry of the hostile member that no topic shows */
byte erased;                            /* epochs whose r nobody holds any more (10.6-7) */

/* --- An own message (10.8) -------------------------------------------------------------------------- */
#define SENDER    B1
#define UNSEALED  14
#define SETTLED   13
#define FAILED    12
byte message = SETTLED + MESSAGES;                   /* one of these, or the epoch it is sealed in */
byte frame_wire;                        /* epochs: a frame of it is under way to that topic */
byte frame_landed;
byte shown[DEVICES];                    /* 1 + the epoch in which it was shown; 0: not yet */

#ifndef TWO_PLACES
#define LAND_RECORD(n, o)  append(entry[n].topic + ENTRIES * o, n)
#else
#define LAND_RECORD(n, o)  if :: supersedes(n) -> skip :: else -> append(entry[n].topic, n) fi
#endif
#define LAND(n, o) \
    :: d_step { o < ORDERS && n < entries && entry[n].wire && !has(entry[n].landed, o) -> \
        LAND_RECORD(n, o); \
        printf("server: entry %d stands in topic %d\n", n, entry[n].topic); \
        entry[n].landed = entry[n].landed | one(o); \
        entry[n].wire = entry[n].landed != one(ORDERS) - 1 }
#define LAND_FRAME(n) \
    :: d_step { MESSAGES && has(frame_wire, n) -> \
        append(n, MESSAGE); \
        frame_wire = frame_wire & ~one(n); \
        frame_landed = frame_landed | one(n) }

proctype Server() {
end: do
    LAND(1, 0) LAND(2, 0) LAND(3, 0) LAND(4, 0) LAND(5, 0) LAND(6, 0)
    LAND(1, 1) LAND(2, 1) LAND(3, 1) LAND(4, 1) LAND(5, 1) LAND(6, 1)
    LAND_FRAME(0) LAND_FRAME(1) LAND_FRAME(2) LAND_FRAME(3) LAND_FRAME(4) LAND_FRAME(5) LAND_FRAME(6)
    od
}

/* --- Exclusion: whoever was given a secret is in the roster of every epoch that it opens ------------ */
inline excluded(n) {
    for (i : 1 .. ENTRIES - 1) {
        assert(exclusion || i >= entries || entry[i].secret != entry[n].secret || !(entry[n].told & ~entry[i].roster) && !(entry[i].told & ~entry[n].roster))
    }
    i = 0
}
inline learn(d, n) {
    dev[d].knows = dev[d].knows | one(entry[n].secret);
    entry[n].told = entry[n].told | one(d);
    excluded(n)
}

/* --- Letters (10.6) -------------------------------------------------------------------------------- */
#define letter(d, n)   has(entry[n].letters, d)
inline take_letter(d, n) {
    entry[n].letters = entry[n].letters & ~one(d)
}
#ifndef LETTERS_TO_BASE
#define recipients(d, n)  (entry[n].roster & ~one(d))                            /* 10.6-1 */
#else
#define recipients(d, n)  (entry[dev[d].base].roster & ~one(d))
#endif
inline write_letters(d, n) {
    entry[n].letters = recipients(d, n);
    entry[n].told = entry[n].told | entry[n].letters;
    excluded(n)
}

/* Who can answer a request for r_n: it holds it and finds the log in its own. */
#define answers(x, d, n)  (x != (d) && here(x) && !hostile(x) && holds(x, n) && follows(dev[x].head, n) && !has(erased, n))
#ifndef ANSWER_ANYBODY
#define may_ask(d, n)     in_roster(d, n)
#else
#define may_ask(d, n)     true
#endif
#define helped(d, n)      (may_ask(d, n) && (answers(A1, d, n) || answers(A2, d, n) || answers(B1, d, n) || answers(C1, d, n)))
/* Nobody who is there has the secret of the head of d, or will get it. */
#define has_or_gets(x, d) (here(x) && !hostile(x) && (holds(x, dev[d].head) || letter(x, dev[d].head)))
#define nobody_helps(d)   (!has_or_gets(A1, d) && !has_or_gets(A2, d) && !has_or_gets(B1, d) && !has_or_gets(C1, d) \
    || has(erased, dev[d].head))
/* Somebody who is there may confirm it. */
#define helps_confirm(d, n)  (here(d) && !hostile(d) && may_confirm(d, n))
#define confirmable(n)   (helps_confirm(A1, n) || helps_confirm(A2, n) || helps_confirm(B1, n) || helps_confirm(C1, n))
#define nobody_confirms(d)  (!entry[dev[d].head].confirmed && !confirmable(dev[d].head))

/* --- Joining --------------------------------------------------------------------------------------- */
#define added(x, d)     (here(x) && live(x) && holds(x, dev[x].head) && in_roster(d, dev[x].head))
#ifndef WELCOME_EARLY
#define adding(x, d)    false
#else
#define adding(x, d)    (here(x) && dev[x].pending && in_roster(d, dev[x].pending))
#endif
#define welcomed(d)     (added(A1, d) || added(B1, d) || adding(A1, d))
inline join(d) {
    if
    :: adding(A1, d) -> k = dev[A1].pending
    :: !adding(A1, d) && added(A1, d) -> k = dev[A1].head
    :: else -> k = dev[B1].head
    fi;
    dev[d].member = 1;
    dev[d].head = k;
    dev[d].base = k;
    dev[d].chains = one(k);
    learn(d, k);
    k = 0
}

inline depart(d) {
    dev[d].member = 0;
    dev[d].base = dev[d].head;
    dev[d].cursor = 0;
    dev[d].chains = 0;
    dev[d].pending = 0;
    dev[d].wants = 0
}

/* --- Being taken forward (10.10) ------------------------------------------------------------------- */
/* What x states is its base; a hostile member states anything. */
#define states(x, d, n)  (!same_account(x, d) && in_roster(x, dev[d].head) && dev[x].member && (hostile(x) || follows(dev[x].base, n)))
#define stated(d, n)     ((states(A1, d, n) || states(A2, d, n)) + states(B1, d, n) + states(C1, d, n))
#ifdef JUMP_ALONE
#define needed(d, n)     1
#else
#ifdef JUMP_COUNTS_GIVEN
#define others(d, n)     (accounts(entry[n].roster) - 1)                /* of the log that is given .. */
#else
#define others(d, n)     (accounts(entry[dev[d].head].roster) - 1)      /* .. but it is the own head's */
#endif
#define needed(d, n)     (1 + (others(d, n) > 1))                                           /* 10.10-3 */
#endif
#define given_by(x, d)   (hostile(x) * made_up + !hostile(x) * dev[x].base)
#define leads(x, d)      (x != (d) && here(x) && live(x) && given_by(x, d) != dev[d].head && follows(given_by(x, d), dev[d].head) \
    && in_roster(d, given_by(x, d)) && holds(x, given_by(x, d)) && stated(d, given_by(x, d)) >= needed(d, given_by(x, d)))
#define ahead(d)         (leads(A1, d) || leads(B1, d) || leads(C1, d))
inline first_ahead(d) {
    if
    :: leads(B1, d) -> k = given_by(B1, d)
    :: else ->
        if
        :: leads(A1, d) -> k = given_by(A1, d)
        :: else -> k = given_by(C1, d)
        fi
    fi
}
inline jump(d, n) {
    if
    :: follows(n, dev[d].pending) -> win_pending(d)                               /* its own is among them */
    :: else -> lose_pending(d)
    fi;
    dev[d].head = n;
    dev[d].base = n;
    dev[d].cursor = 0;
    dev[d].chains = one(n);
    learn(d, n);
    unseal(d)
}

inline unseal(d) {
    if
    :: d == SENDER && (message < ENTRIES || message == UNSEALED) ->
        message = FAILED + (UNSEALED - FAILED) * in_roster(d, dev[d].head)       /* 10.8-3, 10.8-5 */
    :: else
    fi
}
inline deliver(d) {
    if
    :: !shown[d] -> shown[d] = 1 + dev[d].base                                   /* 10.7-8: once */
    :: else
    fi;
    for (i : 0 .. DEVICES - 1) {
        assert(one_epoch || !shown[i] || shown[i] == shown[d])
    }
    i = 0;
    if
    :: d == SENDER && message == dev[d].base -> message = SETTLED                /* 10.8-1 */
    :: else
    fi
}

/* --- What is asserted at every step ----------------------------------------------------------------- */
/* Agreement: of two honest devices that see one order, one's log begins with the other's. */
inline agreed(d) {
    for (i : 0 .. DEVICES - 1) {
        assert(agreement || !dev[i].member || hostile(i) || hostile(d) || order(i) != order(d) || one_line(dev[d].head, dev[i].head))
    }
    i = 0
}

/* One successor: what ever went live in one order is one line. */
inline went_live(d) {
    if
    :: !hostile(d) ->
        was_live[order(d)] = was_live[order(d)] | one(dev[d].head);
        for (i : 0 .. ENTRIES - 1) {
            assert(one_successor || !has(was_live[order(d)], i) || one_line(i, dev[d].head))
        }
        i = 0
    :: else
    fi
}

/* 10.5-8: one entry of a device on one predecessor in one topic. */
#ifndef ONE_ENTRY_PER_LOG
#define elsewhere(i, n)  (entry[i].topic != entry[n].topic)
#else
#define elsewhere(i, n)  false
#endif
inline unique(n) {
    for (i : 1 .. ENTRIES - 1) {
        assert(one_entry || i >= n || entry[i].author != entry[n].author || entry[i].previous != entry[n].previous || elsewhere(i, n))
    }
    i = 0
}

/* --- Faults, each a bounded number of times ---------------------------------------------------------- */
#define FAULTS_OF(d) \
    :: d_step { lost_letters && here(d) && lacks(d) && letter(d, dev[d].head) -> \
        lost_letters--; \
        printf("%d: its letter for epoch %d is lost\n", d, dev[d].head); \
        take_letter(d, dev[d].head) } \
    :: d_step { crashes && here(d) && dev[d].pending && entry[dev[d].pending].wire -> \
        crashes--; \
        entry[dev[d].pending].wire = 0 } \
    :: d_step { gone && here(d) && has(MORTAL, d) -> \
        gone--; \
        printf("%d: never returns\n", d); \
        dev[d].gone = 1 }
#define ERASE(n) \
    :: d_step { erasures && n < entries && !has(erased, n) && has(was_live[0], n) && closed(n) -> \
        erasures--; \
        printf("the secret of epoch %d is held by nobody\n", n); \
        erased = erased | one(n) }
#define past(d, n)   (here(d) && dev[d].base != n && follows(dev[d].base, n))
#define closed(n)    (past(A1, n) || past(B1, n) || past(C1, n))

proctype Faults() {
end: do
    FAULTS_OF(A1) FAULTS_OF(A2) FAULTS_OF(B1) FAULTS_OF(C1)
    ERASE(1) ERASE(2) ERASE(3) ERASE(4) ERASE(5) ERASE(6)
    od
}

/* 10.9: statements cross, and a log that is not in one line with the own one is a fork. */
#define sees_fork(d, x)  (!same_account(d, x) && here(x) && (in_roster(x, dev[d].head) || in_roster(x, dev[d].base)) \
    && !one_line(dev[d].head, dev[x].base))
#define forked(d)        (sees_fork(d, A1) || sees_fork(d, A2) || sees_fork(d, B1) || sees_fork(d, C1))
#define STATEMENT(d)     :: d_step { here(d) && !dev[d].warned && forked(d) -> dev[d].warned = 1 }

#ifndef WITHOUT_GOSSIP
#define GOSSIP           true
#else
#define GOSSIP           false
#endif
proctype Statements() {
end: do
    STATEMENT(A1) STATEMENT(A2) STATEMENT(B1) STATEMENT(C1)
    od
}

/* --- What is asserted where nothing can happen any more but faults ------------------------------------ */
#define leading(d, n)    (here(d) && !hostile(d) && dev[d].head == n)

#define live_at(d, n)        (here(d) && dev[d].base == n)
#define live_somewhere(n)    (live_at(A1, n) || live_at(A2, n) || live_at(B1, n) || live_at(C1, n))

/* 10.5-11: a removal is wanted that needs nobody's confirm of what it supersedes. */
#define would_remove(d, n)   (leading(d, n) && removing(d) && possible(d, removing(d)))
#define removable(n)         (would_remove(A1, n) || would_remove(A2, n) || would_remove(B1, n) || would_remove(C1, n))

/* Decision 0040: it is confirmed, but its secret has left with its author and its confirmer. */
#define took_away(d, n)  (dev[d].gone && holds(d, n) && !same_account(d, entry[n].author) && entry[n].confirmed)
#define keeps(d, n)      (here(d) && !hostile(d) && holds(d, n))
#define out_of_reach(n)  ((took_away(A1, n) || took_away(A2, n) || took_away(B1, n) || took_away(C1, n)) \
    && !keeps(A1, n) && !keeps(A2, n) && !keeps(B1, n) && !keeps(C1, n))

inline longest() {
    k = 0;
    for (i : 1 .. ENTRIES - 1) {
        if
        :: follows(i, k) && (leading(A1, i) || leading(A2, i) || leading(B1, i) || leading(C1, i)) -> k = i
        :: else
        fi
    }
    i = 0
}
/* A server that forks may keep a side from going on: then each side is told. */
#define unseen(d)        (here(d) && forked(d) && !dev[d].warned)

inline judge() {
    longest();
    p = !out_of_reach(k) && (confirmable(k) || live_somewhere(k) || removable(k));
    for (i : 0 .. DEVICES - 1) {
        if
        :: ORDERS == 1 && in_roster(i, k) && !dev[i].member && !dev[i].gone && p ->
            assert(liveness || dev[i].member)                        /* who was added has joined, */
        :: ORDERS > 1 -> assert(fork_seen || !unseen(i))
        :: ORDERS == 1 && here(i) && !hostile(i) && in_roster(i, k) && p ->
            assert(liveness || dev[i].head == k);                    /* all who are there are in one epoch, */
            assert(liveness || live(i) && holds(i, k));              /* it is live and they can read it, */
            assert(liveness || !dev[i].pending && !dev[i].wants && dev[i].target == NOBODY);  /* changes were made or given up, */
            assert(liveness || i != SENDER || message == SETTLED || message == FAILED);
            assert(delivery || !MESSAGES || message != SETTLED || shown[i])  /* what is settled was shown */
        :: else
        fi
    }
    assert(liveness || room);                            /* and the table of entries was large enough */
    i = 0; k = 0; p = 0
}
