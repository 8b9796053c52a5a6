/* The rule of epochs: who closes one, when the next is live, which secret counts.
 *
 * Written from spec 09.4, 10.5, 10.6, 10.8 and 10.10; README.md beside this file says how to read
 * it and how to run it. Here are the values and rules of one device; world.pml has the server, the
 * letters, the faults, and what is asserted; instances.pml has who wants what and how much may fail.
 * Names in capitals inside #ifdef take a rule away: the model must fail with each of them.
 */

/* --- Devices, and sets of them as bit masks: four devices of three accounts, A has two ---------- */
#define DEVICES    4
#define A1         0
#define A2         1
#define B1         2
#define C1         3
#define NOBODY     15
#define one(x)     (1 << (x))
#define has(m, x)  (((m) >> (x)) & 1)
#define same_account(d, x)  ((d) == (x) || ((d) <= A2 && (x) <= A2))
#define account(d)          (3 * ((d) <= A2) + one(d) * ((d) > A2))
#define accounts(m)         ((((m) & 3) != 0) + has(m, B1) + has(m, C1))

/* --- Entries (09.1). Its index names an entry, the log that ends with it, and the epoch it opens - */
#define ENTRIES    7                    /* with genesis, which is 0; masks of entries are bytes */
#define UPDATE     1
#define REMOVE     2                    /* an account */
#define DROP       3                    /* a device (device_remove) */
#define ADD        4
#ifndef DERIVED_REMOVE
#define fresh_op(op)  ((op) < ADD)      /* 09.4: whose secret is fresh */
#else
#define fresh_op(op)  ((op) == UPDATE)
#endif

typedef Entry {
    byte previous;
    byte op;
    byte author;
    byte roster;                        /* devices after it */
    byte line;                          /* entries of its log, itself included */
    byte topic;                         /* where it is uploaded: the base of its author */
    byte secret;                        /* which r it commits to: its own, unless a rule is broken */
    byte letters;                       /* devices to which a letter with r is under way */
    byte told;                          /* devices that were ever given r, or could derive it */
    bit  confirmed;                     /* somebody made a confirm of it */
    bit  wire;                          /* an upload of it is under way */
    byte landed                         /* in which of the server's orders it stands */
};
Entry entry[ENTRIES];
byte entries = 1;
#define fresh(n)          fresh_op(entry[n].op)
#define in_roster(d, n)   has(entry[n].roster, d)
#define alone(n)          (accounts(entry[n].roster) == 1)
#define follows(n, m)     has(entry[n].line, m)                  /* the log n begins with the log m */
#define one_line(n, m)    (follows(n, m) || follows(m, n))
#define supersedes(n)     (entry[n].previous != entry[n].topic)  /* it hangs on a head that was not live */
#define room              (entries < ENTRIES)

/* --- Records of a topic (10.4) ------------------------------------------------------------------ */
#define MESSAGE             100
#define confirm_of(n, d)    (16 + (n) * 4 + (d))
#define is_entry(r)         ((r) < 16)
#define is_confirm(r)       ((r) >= 16 && (r) < MESSAGE)
#define confirmed(r)        (((r) - 16) / 4)
#define confirmer(r)        (((r) - 16) % 4)

/* --- One device (10.1) --------------------------------------------------------------------------- */
typedef Device {
    bit  member;                        /* has joined and has not departed */
    bit  gone;                          /* never comes back */
    bit  warned;                        /* was told of a fork (10.9, 10.12) */
    byte head;
    byte base;
    byte cursor;
    byte knows;                         /* secrets of the epochs it came through */
    byte chains;                        /* epochs whose chains and carries it holds */
    byte pending;                       /* own entry that waits for its echo; 0 is none */
    byte wants;                         /* ops of its intents that wait, a mask; the lowest one is first */
    byte target;                        /* of the one that is no update, until it is made or given up */
    byte tries
};
Device dev[DEVICES];

hidden byte r, p, i, k;                 /* scratch of one step, not part of the state */

#define live(d)        (dev[d].base == dev[d].head)
#define here(d)        (dev[d].member && !dev[d].gone)
#define holds(d, n)    has(dev[d].knows, entry[n].secret)
#define lacks(d)       (!live(d) && !holds(d, dev[d].head))
#define removal(op)    ((op) == REMOVE || (op) == DROP)
#define removing(d)    (has(dev[d].wants, REMOVE) -> REMOVE : (has(dev[d].wants, DROP) -> DROP : 0))
#define wanted(d)      (has(dev[d].wants, UPDATE) -> UPDATE : (removing(d) -> removing(d) : ADD))

/* 09.8: a confirm is by a member of the epoch, of another account than the author of its entry. */
#ifndef OWN_CONFIRM
#define may_confirm(d, n)  (in_roster(d, n) && !same_account(d, entry[n].author))
#else
#define may_confirm(d, n)  (in_roster(d, n) && (d) != entry[n].author)
#endif

/* 09.5, 09.6: what an honest device may still want on its head. */
#define possible(d, what)  ((what) == UPDATE \
    || ((what) == REMOVE && in_roster(dev[d].target, dev[d].head) && !same_account(d, dev[d].target)) \
    || ((what) == DROP && in_roster(dev[d].target, dev[d].head) && (d) != dev[d].target) \
    || ((what) == ADD && !in_roster(dev[d].target, dev[d].head)))

#include "world.pml"

/* 10.5-4, 10.6-6: the head is decided; what only the epochs before needed is erased. */
inline make_live(d) {
    printf("%d: epoch %d is live\n", d, dev[d].head);
    dev[d].base = dev[d].head;
    dev[d].cursor = 0;
    assert(carried || has(dev[d].chains, dev[d].head));
    dev[d].chains = one(dev[d].head);
    went_live(d)
}

/* 10.3: with the secret of the head come its chains, carried from the parent. */
#ifndef CARRY_FROM_SUPERSEDED
#define parent(d)      dev[d].base                       /* 10.3-3: never from a superseded epoch */
#else
#define parent(d)      entry[dev[d].head].previous
#endif
#ifndef WITHOUT_CONFIRM
#define at_once(n)     (!fresh(n) || alone(n))           /* 10.5-3, 10.5-4 */
#else
#define at_once(n)     true
#endif
inline install(d) {
    if
    :: !live(d) && holds(d, dev[d].head) ->
        if
        :: has(dev[d].chains, parent(d)) -> dev[d].chains = dev[d].chains | one(dev[d].head)
        :: else
        fi;
#ifdef ERASE_BEFORE_LIVE
        dev[d].chains = dev[d].chains & one(dev[d].head);
#endif
        if
        :: at_once(dev[d].head) -> make_live(d)
        :: else
        fi
    :: else
    fi
}

/* 10.5-9: the own entry lost; its secret is never used, its intent waits for the new head.
 * 10.5-10: of those that were to supersede, only a removal is wanted as before. */
#ifndef DROP_LOSING_REMOVAL
#define wanted_again(n)  (!supersedes(n) || removal(entry[n].op))
#else
#define wanted_again(n)  !supersedes(n)
#endif
inline lose_pending(d) {
    if
    :: dev[d].pending && wanted_again(dev[d].pending) ->
        dev[d].wants = dev[d].wants | one(entry[dev[d].pending].op)
    :: else
    fi;
    dev[d].pending = 0
}

/* An intent was made or given up. An update has no target: that of another one that waits stays. */
inline settle(d, what) {
    if
    :: what != UPDATE -> dev[d].target = NOBODY
    :: else
    fi
}
inline win_pending(d) {
    settle(d, entry[dev[d].pending].op);
    dev[d].pending = 0
}

/* 10.5-1: an entry takes effect on this device. */
inline apply(d, n) {
    printf("%d: applies entry %d\n", d, n);
    dev[d].head = n;
    if
    :: !fresh(n) && holds(d, entry[n].previous) -> learn(d, n)                   /* 10.3: derived */
    :: else
    fi;
    if
    :: dev[d].pending == n -> win_pending(d)
    :: else -> lose_pending(d)
    fi;
    unseal(d);                                                                   /* 10.8-3 */
    if
    :: in_roster(d, n) -> install(d)
    :: else -> depart(d)                                                         /* 10.2-3 */
    fi;
    agreed(d)
}

#ifdef TWO_PLACES                        /* a superseding entry stands in a place of its own */
#define calls(d, n)    (n < entries && entry[n].landed && supersedes(n) && entry[n].previous == dev[d].head)
#endif

/* 10.5-1, 10.5-2: which entry of the base topic counts. Where one account is left nobody supersedes:
 * who has the secret is live and reads on elsewhere. */
#ifndef SUPERSEDE_ALONE
#define decided(d)     (live(d) || alone(dev[d].head))
#else
#define decided(d)     live(d)
#endif
#define counts(d, n)   (entry[n].previous == dev[d].head && (live(d) || (fresh(n) && !decided(d))))

/* 10.5-3, 10.5-5: a confirm may decide. What can be judged without the head's secret is judged first:
 * of which log it is, and by whom. Only then one without the secret does not read past it. */
#define decides(d, r)  (confirmed(r) == dev[d].head && may_confirm(confirmer(r), dev[d].head))
#ifndef STALL_AT_ANY
#define stops(d, r)    decides(d, r)
#else
#define stops(d, r)    (decides(d, r) || lacks(d))
#endif

#ifndef OPEN_UNTIL_KNOWN
#define opens(d)       live(d)                            /* 10.7-1: no message after the close */
#else
#define opens(d)       (live(d) || lacks(d))
#endif

/* The topic is read in the server's order (10.4-1). What is refused changes nothing (10.1-1), so reading
 * goes on to the next record that does something. */
#define record(d, i)   topic[place(d)].record[i]
#define matters(d, i)  ((i) >= dev[d].cursor && (i) < topic[place(d)].size && \
    (is_entry(record(d, i)) && counts(d, record(d, i)) \
    || is_confirm(record(d, i)) && !live(d) && stops(d, record(d, i)) \
    || record(d, i) == MESSAGE && opens(d)))
#define unread(d)      (matters(d, 0) || matters(d, 1) || matters(d, 2) || matters(d, 3) \
    || matters(d, 4) || matters(d, 5) || matters(d, 6))
#define halts(d, i)    (matters(d, i) && is_confirm(record(d, i)) && lacks(d))
#define stalled(d)     (halts(d, 0) \
    || !matters(d, 0) && (halts(d, 1) \
    || !matters(d, 1) && (halts(d, 2) \
    || !matters(d, 2) && (halts(d, 3) \
    || !matters(d, 3) && (halts(d, 4) \
    || !matters(d, 4) && (halts(d, 5) \
    || !matters(d, 5) && halts(d, 6)))))))

inline read(d) {
    do
    :: matters(d, dev[d].cursor) -> break
    :: else -> dev[d].cursor++
    od;
    r = record(d, dev[d].cursor);
    dev[d].cursor++;
    if
    :: is_entry(r) -> apply(d, r)
    :: is_confirm(r) -> lose_pending(d); make_live(d); agreed(d)
    :: else -> deliver(d)
    fi;
    r = 0
}

/* 10.5, authoring: an entry on the head, for the base topic; letters go out before it (10.5-7). */
inline draft(d, what, whom) {
    assert(what == UPDATE || whom != NOBODY);
    p = entries;
    entries++;
    entry[p].previous = dev[d].head;
    entry[p].op = what;
    entry[p].author = d;
    entry[p].line = entry[dev[d].head].line | one(p);
    entry[p].topic = dev[d].base;
    if
    :: what == REMOVE -> entry[p].roster = entry[dev[d].head].roster & ~account(whom)
    :: what == DROP -> entry[p].roster = entry[dev[d].head].roster & ~one(whom)
    :: what == ADD -> entry[p].roster = entry[dev[d].head].roster | one(whom)
    :: else -> entry[p].roster = entry[dev[d].head].roster
    fi;
    entry[p].secret = p;                                                         /* a retry draws anew */
#ifdef RETRY_REUSES_SECRET
    for (i : 1 .. ENTRIES - 1) {
        if
        :: i < p && entry[i].author == d && entry[i].op == what && entry[p].secret == p ->
            entry[p].secret = entry[i].secret
        :: else
        fi
    }
#endif
    entry[p].wire = 1;
    printf("%d: authors entry %d, op %d, on %d, for topic %d\n", d, p, what, dev[d].head, dev[d].base);
    learn(d, p);
    if
    :: fresh_op(what) -> write_letters(d, p)
    :: else
    fi;
    unique(p);
    dev[d].pending = p;
    p = 0
}

/* An intent's turn: drafted on the head, or given up. To supersede is no try (10.5-10). */
inline try(d, what) {
    dev[d].wants = dev[d].wants & ~one(what);
    if
    :: possible(d, what) && (dev[d].tries || !live(d)) ->
        dev[d].tries = dev[d].tries - live(d);
        draft(d, what, dev[d].target)
    :: else -> settle(d, what)
    fi
}

/* 10.5-11: who cannot confirm the head need not wait for who alone could. Timers fire where nobody who is
 * there can help any more, and a few times although somebody could. */
#define waits(d)       (here(d) && !live(d) && !decided(d) && !dev[d].pending && room)
#define helpless(d)    (lacks(d) && nobody_helps(d) || !lacks(d) && nobody_confirms(d))
#ifndef WAIT_FOR_CONFIRM
#define impatient(d)   (lacks(d) || removing(d) && !may_confirm(d, dev[d].head))
#else
#define impatient(d)   lacks(d)
#endif

proctype Member(byte me) {
end: do
    /* Reading (10.4, 10.5). */
    :: d_step { here(me) && unread(me) && !stalled(me) -> read(me) }

    /* Authoring (10.5): intents wait until base = head; they are tried again, but not for ever. */
    :: d_step { here(me) && live(me) && dev[me].wants && !dev[me].pending && room ->
        k = wanted(me);
        try(me, k);
        k = 0 }

    /* After a crash the outbox uploads the same bytes again (10.5-8): the server keeps one of them. */
    :: d_step { here(me) && dev[me].pending && !entry[dev[me].pending].wire && !entry[dev[me].pending].landed ->
        entry[dev[me].pending].wire = 1 }

#ifdef APPLY_ON_ACK
    :: d_step { here(me) && live(me) && dev[me].pending && entry[dev[me].pending].landed ->
        apply(me, dev[me].pending) }
#endif

#ifdef TWO_PLACES
    :: d_step { here(me) && (calls(me, 1) || calls(me, 2) || calls(me, 3) || calls(me, 4)) ->
        k = 1;
        do
        :: calls(me, k) -> break
        :: else -> k++
        od;
        apply(me, k);
        k = 0 }
#endif

    /* Confirming (10.5). By rank one confirm is the rule; later ones of the same log change nothing. */
    :: d_step { here(me) && !live(me) && holds(me, dev[me].head) && may_confirm(me, dev[me].head) &&
               !entry[dev[me].head].confirmed ->
        entry[dev[me].head].confirmed = 1;
        printf("%d: confirms epoch %d\n", me, dev[me].head);
        append_all(dev[me].base, confirm_of(dev[me].head, me)) }

    /* Superseding (10.5): by the first removal that waits; if none is possible, who lacks the secret updates. */
    :: d_step { waits(me) && impatient(me) && (early || helpless(me)) ->
        early = early - !helpless(me);
        k = removing(me);
        if
        :: k -> try(me, k)
        :: else
        fi;
        if
        :: lacks(me) && !dev[me].pending -> draft(me, UPDATE, NOBODY)
        :: else
        fi;
        k = 0 }

    /* Letters (10.6). One that came before its entry is kept, so it is as if it came right after. */
    :: d_step { here(me) && lacks(me) && letter(me, dev[me].head) ->
        take_letter(me, dev[me].head);
        printf("%d: gets the letter for epoch %d\n", me, dev[me].head);
        learn(me, dev[me].head);
        install(me);
        agreed(me) }

    /* Asking for the secret of the head: answered by who has it, to a member of that epoch (10.6-1). */
    :: d_step { here(me) && lacks(me) && helped(me, dev[me].head) ->
        learn(me, dev[me].head);
        printf("%d: asks for epoch %d and is answered\n", me, dev[me].head);
        install(me);
        agreed(me) }
#ifdef ANSWER_ANYBODY
    :: d_step { !dev[me].gone && !dev[me].member && helped(me, entries - 1) && !holds(me, entries - 1) ->
        learn(me, entries - 1) }
#endif

    /* Joining (10.2, 10.6-5): a Welcome comes when the add is live at who sends it. */
    :: d_step { JOINS && !dev[me].gone && !dev[me].member && !dev[me].head && welcomed(me) -> join(me); agreed(me) }

    /* Being taken forward (10.10), by timers that may fire at any time. */
    :: d_step { JUMPS && here(me) && ahead(me) ->
        first_ahead(me);
        printf("%d: is taken from epoch %d to %d\n", me, dev[me].head, k);
        jump(me, k);
        k = 0;
        agreed(me) }

    /* Sending (10.8): sealed in the head; settled by its echo before the close. */
    :: d_step { MESSAGES && me == SENDER && here(me) && message == UNSEALED && holds(me, dev[me].head) ->
        message = dev[me].head }
    :: d_step { MESSAGES && me == SENDER && here(me) && message < ENTRIES && !has(frame_wire | frame_landed, message) ->
        frame_wire = frame_wire | one(message) }
#ifdef SETTLE_ON_ACK
    :: d_step { me == SENDER && here(me) && message < ENTRIES && has(frame_landed, message) -> message = SETTLED }
#endif
    od
}

/* A hostile member: a log of its own that no topic shows, or a confirm of its own epoch. */
proctype Hostile() {
end: do
#ifdef HOSTILE_LOG
    :: d_step { room && live(HOSTILE) && !made_up ->
        draft(HOSTILE, PRIVATE, A1);
        made_up = dev[HOSTILE].pending;
        dev[HOSTILE].pending = 0;
        entry[made_up].wire = 0;
        entry[made_up].letters = 0 }
#endif
#ifdef HOSTILE_CONFIRM
    :: d_step { room && live(HOSTILE) && !made_up ->
        draft(HOSTILE, UPDATE, NOBODY);
        made_up = dev[HOSTILE].pending;
        entry[made_up].letters = 0 }
    :: d_step { made_up && entry[made_up].landed && !entry[made_up].confirmed ->
        entry[made_up].confirmed = 1;
        append_all(entry[made_up].topic, confirm_of(made_up, HOSTILE)) }
#endif
    :: false
    od
}

inline want(d, what, whom) {
    dev[d].wants = dev[d].wants | one(what);
    dev[d].target = whom;
    dev[d].tries = TRIES
}

init {
    d_step {
        entry[0].roster = MEMBERS;
        entry[0].line = one(0);
        entry[0].landed = one(ORDERS) - 1;
        for (i : 0 .. DEVICES - 1) {
            dev[i].target = NOBODY;
            if
            :: has(MEMBERS, i) -> dev[i].member = 1; dev[i].knows = one(0); dev[i].chains = one(0)
            :: else
            fi
        }
        for (i : 0 .. ORDERS - 1) { was_live[i] = one(0) }
        i = 0;
        WANTS
    }
    atomic {
        run Member(A1); run Member(A2); run Member(B1); run Member(C1);
        run Server(); run Faults();
        if
        :: ORDERS > 1 && GOSSIP -> run Statements()
        :: else
        fi;
        if
        :: HOSTILE != NOBODY -> run Hostile()
        :: else
        fi
    }
    timeout -> d_step { judge() }
}
