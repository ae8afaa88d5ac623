/* The lease protocol: every interleaving of WORKERS workers and two keepers over one bucket, its batch and one task.

   Each `atomic` is as much of a statement or transaction as its row locks make one. Between any two of them a process may
   stand still for any time: it is a zombie if it was buried meanwhile. Each worker is three processes, as it has three
   threads: what the flusher and the task loop know is as old as the moment when they began.

   Covered: a lease comes to the living only; no epoch serves two acquisitions; a digest rendered under a former tenure
   of the same or another worker is not sealed; a claim is ended by its claimer, by its last token, or by a keeper
   after the claimer's death; a keeper whose look is out of date takes nothing from the living; a bucket without an
   owner, or with a dead one, comes to a living one in the end (under weak fairness: whoever can go on does so some
   time), also if the dead never move again. That a bucket has one owner at a time needs no proof: it is one column.

   Not covered: time (anybody may be buried at any moment, so heartbeats, self-fence and clocks do not matter here
   and are proved nowhere here), several buckets and all-or-none acquisition, sharing, several tasks, attempts, the
   poison limit, deliveries, lost replies, crashes of PostgreSQL, and whether the SQL does what the model says: that is
   what tests/integration/test_ownership_machine.py and test_ownership_races.py are for.

   -DLEFT_OUT=EPOCH and so on leaves out one check, and the search must find what follows. -DBATCH or -DTASK adds the
   batch or the task to the lease; together they are too many states, and neither reads the other's rows. */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef MOST
#define MOST 4      /* acquisitions, and claims: the search is exhaustive up to here */
#endif
#define EVENTS 2
#ifndef LEFT_OUT
#define LEFT_OUT 0
#endif
#define EPOCH 1
#define TOKEN 2
#define ALIVE 3
#define RISE 4
#define SEEN_OWNER 5
#define SEEN_TOKEN 6
#define KEEPERS 7
#define WITHOUT(check) (LEFT_OUT == check)
#define FREE 0      /* as an owner: nobody; workers are numbered from 1 */

mtype = { READY, IN_PROGRESS, DONE };
bool dead[WORKERS + 1];

byte owner, epoch;                 /* the lease's row */
byte remembered[WORKERS + 1];      /* the last epoch that each worker got */
byte folded, sealed, given;        /* the batch: events in it, events in its delivery, acquisitions so far */
mtype task = READY;
byte token, claimer, claims;

#define PASSES(worker, with) (owner == worker && (WITHOUT(EPOCH) || epoch == with))
#define OURS(with) (task == IN_PROGRESS && (WITHOUT(TOKEN) || token == with))

/* acquire_leases and release_leases. Whoever is free takes a free bucket; whether an owner ever lets go is open. */
proctype Beat(byte me) {
    do
    :: atomic { (WITHOUT(ALIVE) || !dead[me]) && owner == FREE && given < MOST ->
        assert(!dead[me]);
        owner = me; given++;
        if
        :: WITHOUT(RISE)
        :: else -> epoch++
        fi;
        assert(epoch == given);    /* never reused */
        remembered[me] = epoch }
    :: atomic { owner == me && given < MOST -> owner = FREE }
    :: dead[me] || given == MOST -> break    /* the dead may also never come back */
    od
}

/* fold_events, then due_batches with rendering, then seal_batches: the epoch is of the time when it began. */
proctype Flusher(byte me) {
    byte with, rendered;
    do
    :: atomic { remembered[me] != 0 -> with = remembered[me] }
        if
        :: atomic { PASSES(me, with) && folded < EVENTS && sealed == 0 ->
            folded++ }
        :: skip
        fi;
        rendered = folded;
        if
        :: atomic { rendered > 0 && PASSES(me, with) && sealed == 0 ->
            assert(rendered == folded);    /* nothing that others folded meanwhile is left out */
            sealed = rendered }
        :: skip
        fi;
        atomic { with = 0; rendered = 0 }
    :: dead[me] || sealed > 0 || given == MOST -> break
    od
}

/* claim_tasks, which looks at the lease without locking it; then finish_tasks or give_back_tasks, which ask for nothing
   but the token. */
proctype Tasks(byte me) {
    byte with, mine;
    do
    :: atomic { remembered[me] != 0 && task == READY && claims < MOST -> with = remembered[me] };
        atomic {
            if
            :: PASSES(me, with)
            :: else -> with = 0
            fi };
        atomic {
            if
            :: with != 0 && task == READY && claims < MOST ->
                task = IN_PROGRESS; token++; claims++; claimer = me; mine = token
            :: else
            fi;
            with = 0 };
        if
        :: mine != 0 ->
            atomic {
                if
                :: OURS(mine) ->
                    assert(claimer == me && token == mine);
                    if
                    :: task = DONE
                    :: task = READY; token++
                    fi;
                    claimer = 0
                :: else            /* stale: dropped */
                fi;
                mine = 0 }
        :: else
        fi
    :: dead[me] || task == DONE || claims == MOST || given == MOST -> break
    od
}

/* free_leases_of_the_dead and reclaim: a look first, and then a write that says what it has seen. */
proctype Keeper() {
    byte seen;
    do
    :: atomic { !WITHOUT(KEEPERS) && owner != FREE && dead[owner] -> seen = owner };
        atomic {
            if
            :: owner == seen || (WITHOUT(SEEN_OWNER) && owner != FREE) ->
                assert(dead[owner]); owner = FREE
            :: else
            fi;
            seen = 0 }
    :: atomic { task == IN_PROGRESS && dead[claimer] -> seen = token };
        atomic {
            if
            :: task == IN_PROGRESS && (WITHOUT(SEEN_TOKEN) || token == seen) ->
                assert(dead[claimer]); task = READY; token++; claimer = 0
            :: else
            fi;
            seen = 0 }
    od
}

/* bury_worker, bury_silent_workers: at any moment or never. Whether it was right does not matter. */
proctype Death(byte worker) {
    if
    :: dead[worker] = true
    :: skip
    fi
}

init {
    byte worker;
    atomic {
        for (worker : 1 .. WORKERS) {
            run Beat(worker);
            if
            :: worker > 1 -> run Death(worker)
            :: else                 /* one stays alive: else nobody is there for the bucket to come to */
            fi;
#ifdef BATCH
            run Flusher(worker);
#endif
#ifdef TASK
            run Tasks(worker);
#endif
        }
        run Keeper(); run Keeper()
    }
}

#define served (owner != FREE && !dead[owner])
ltl comes_to_the_living { [] (!served -> <> (served || given == MOST)) }
