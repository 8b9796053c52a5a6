/* Small groups: who is there, who wants what, and what may fail how often. One is chosen with -D. */

#ifdef CONCURRENT                       /* an update and a removal at once, and a crash */
#define MEMBERS       (one(A1) | one(B1) | one(C1))
#define WANTS         want(A1, UPDATE, NOBODY); want(B1, REMOVE, C1)
#define LOST_LETTERS  1
#define CRASHES       1
#endif

#ifdef EARLY_TIMER                      /* a secret on its way is superseded beside a confirm */
#define MEMBERS       (one(A1) | one(B1) | one(C1))
#define WANTS         want(A1, UPDATE, NOBODY); want(B1, REMOVE, C1)
#define EARLY         1
#endif

#ifdef AWAY                             /* an author that never returns, letters that are lost */
#define MEMBERS       (one(A1) | one(A2) | one(B1) | one(C1))
#define WANTS         want(A1, UPDATE, NOBODY)
#define LOST_LETTERS  2
#define GONE          2
#define MORTAL        account(A1)
#endif

#ifdef SUPERSEDER_AWAY                  /* the one that supersedes never returns either */
#define MEMBERS       (one(A1) | one(B1) | one(C1))
#define WANTS         want(A1, UPDATE, NOBODY)
#define LOST_LETTERS  2
#define GONE          1
#define MORTAL        15
#define EARLY         1
#endif

#ifdef JOINING                          /* an add beside an update */
#define MEMBERS       (one(A1) | one(A2) | one(B1))
#define WANTS         want(A1, ADD, C1); want(B1, UPDATE, NOBODY)
#define JOINS         1
#define LOST_LETTERS  1
#endif

#ifdef ADD_WAITS                        /* an add waits while its author supersedes */
#define MEMBERS       (one(A1) | one(B1))
#define WANTS         want(A1, ADD, C1); want(B1, UPDATE, NOBODY)
#define JOINS         1
#define EARLY         1
#endif

#ifdef DROPPING                         /* a device is removed by its own account, beside a removal */
#define MEMBERS       (one(A1) | one(A2) | one(B1) | one(C1))
#define WANTS         want(A1, DROP, A2); want(B1, REMOVE, C1)
#endif

#ifdef LAST_ACCOUNT                     /* one account with two devices remains */
#define MEMBERS       (one(A1) | one(A2) | one(B1))
#define WANTS         want(A1, REMOVE, B1); want(A2, REMOVE, B1)
#define LOST_LETTERS  1
#define EARLY         1
#endif

#ifdef VANISHED                         /* the only one that could confirm never returns, and is removed */
#define MEMBERS       (one(A1) | one(A2) | one(B1))
#define WANTS         want(A1, UPDATE, NOBODY); want(A1, REMOVE, B1); want(A2, REMOVE, B1)
#define LOST_LETTERS  1
#define CRASHES       1
#define GONE          1
#define MORTAL        one(B1)
#endif

#ifdef VANISHED_BOTH                    /* one of two others never returns, or both; one is removed */
#define MEMBERS       (one(A1) | one(B1) | one(C1))
#define WANTS         want(A1, UPDATE, NOBODY); want(A1, REMOVE, B1)
#define LOST_LETTERS  1
#define GONE          2
#define MORTAL        (one(B1) | one(C1))
#define EARLY         1
#endif

#ifdef SENDING                          /* a message across a close */
#define MEMBERS       (one(A1) | one(B1) | one(C1))
#define WANTS         want(A1, REMOVE, C1)
#define MESSAGES      1
#define LOST_LETTERS  1
#define CRASHES       1
#define EARLY         1
#endif

#ifdef LAGGING                          /* a member whose secret is gone everywhere */
#define MEMBERS       (one(A1) | one(B1) | one(C1))
#define WANTS         want(A1, UPDATE, NOBODY); want(B1, UPDATE, NOBODY)
#define LOST_LETTERS  1
#define ERASURES      1
#ifndef WITHOUT_JUMP
#define JUMPS         1
#endif
#endif

#ifdef HOSTILE_LOG                      /* an admin that shows one member a log of its own */
#define MEMBERS       (one(A1) | one(B1) | one(C1))
#define WANTS         want(A1, UPDATE, NOBODY)
#define JUMPS         1
#define HOSTILE       B1
#define LOST_LETTERS  1
#endif

#ifdef HOSTILE_CONFIRM                  /* a member that keeps its secret to itself, and confirms it */
#define MEMBERS       (one(A1) | one(B1) | one(C1))
#define WANTS         skip
#define HOSTILE       C1
#endif

#ifdef FORKING                          /* a server that shows A one order and B and C another */
#define MEMBERS       (one(A1) | one(B1) | one(C1))
#define WANTS         want(A1, UPDATE, NOBODY); want(B1, UPDATE, NOBODY)
#define ORDERS        2
#define TRIES         1
#endif

/* What an instance does not say: */
#ifndef JOINS
#define JOINS         0
#endif
#ifndef JUMPS
#define JUMPS         0
#endif
#ifndef MESSAGES
#define MESSAGES      0
#endif
#ifndef ORDERS
#define ORDERS        1
#endif
#ifndef LOST_LETTERS
#define LOST_LETTERS  0
#endif
#ifndef CRASHES
#define CRASHES       0
#endif
#ifndef EARLY
#define EARLY         0
#endif
#ifndef ERASURES
#define ERASURES      0
#endif
#ifndef TRIES
#define TRIES         3
#endif
#ifndef GONE
#define GONE          0
#define MORTAL        0
#endif
#ifndef HOSTILE
#define HOSTILE       NOBODY
#endif
#define hostile(d)    ((d) == HOSTILE)
#ifdef PRIVATE_UPDATE
#define PRIVATE       UPDATE
#else
#define PRIVATE       REMOVE
#endif
