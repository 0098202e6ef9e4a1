/* The protocol of an apply, for one object that is to be made once: two runners, kills at every crash point, thefts of the lock,
 * requests that are lost, run late, or whose answers come late. Property: never two objects.
 *
 *   spin -run -a models/protocol.pml                              holds
 *   spin -run -a -DFENCE=0 models/protocol.pml                    fails: fencing at the ledger alone is not enough
 *   spin -run -a -DHORIZON=0 models/protocol.pml                  fails: absence believed too early
 *   spin -run -a -DJOURNAL=0 models/protocol.pml                  fails: sent first, written down later
 *   spin -run -a -DKILLS=2 -DTHEFTS=2 -DDROPS=2 -DDELAYS=2 ...    the large run
 *
 * Every name in reconciler/crash.py is a label here, with `_` for `.`: `before` is a transaction that is complete but not
 * committed, `after` is durable. DIE is SIGKILL: all a runner knows is gone, and its lock is free at once.
 *
 * Time has no clock here. A request may be on its way as long as its intent is open; QUIET says that whatever was on its way has
 * run or lapsed and that the lists show what there is, which the horizon guarantees.
 */
#ifndef FENCE
#define FENCE 1       /* a request that waited for longer than its intent lasts is not sent, and not accepted */
#endif
#ifndef HORIZON
#define HORIZON 1     /* absence is believed only after the horizon */
#endif
#ifndef JOURNAL
#define JOURNAL 1     /* the intent is durable before the request leaves */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef THEFTS
#define THEFTS 1      /* force-unlock, or a lease that ran out under a frozen runner */
#endif
#ifndef DROPS
#define DROPS 1       /* requests that never arrive */
#endif
#ifndef DELAYS
#define DELAYS 1      /* answers that come too late to be of use */
#endif

byte epoch = 0;       /* of the lock; raised by compare-and-swap */
byte holders = 0;     /* runners that believe they hold it */
byte intent = 0;      /* 1: a create is written down and its result unknown */
byte author = 0;      /* the epoch that wrote it */
byte entry = 0;       /* 1: the ledger knows the object's id */
byte flying = 0;      /* requests between us and the vendor */
byte objects = 0;     /* what lives there */
byte visible = 0;     /* what its lists show */
byte kills = KILLS, thefts = THEFTS, drops = DROPS, delays = DELAYS;

#define SETTLED (entry == 1 && intent == 0 && objects == 1 && visible == 1 && flying == 0)
#if HORIZON
#define QUIET (flying == 0 && visible == objects)
#else
#define QUIET true
#endif
#define DIE :: atomic { kills > 0 -> kills--; holders--; goto off }
#define ON  :: true -> skip

active proctype vendor() {
  do
  :: atomic { flying > 0 && objects < 3 -> flying--; objects++ }      /* runs, soon or late */
  :: atomic { flying > 0 && drops > 0 -> flying--; drops-- }
  :: atomic { visible < objects -> visible = objects }                /* the lists catch up */
  od
}

active [2] proctype runner() {
  byte mine = 0;
off:
  mine = 0;
ledger_acquire_before:                /* a kill here leaves nothing behind */
  if
  :: atomic { holders == 0 && !SETTLED -> holders = 1; epoch++; mine = epoch }
  :: atomic { holders > 0 && thefts > 0 -> thefts--; holders++; epoch++; mine = epoch }
  fi;
ledger_acquire_after:
  if DIE ON fi;
ledger_plan_before:                   /* a saved plan is used up; renames, notes and adopted entries are written down */
ledger_plan_after:
ledger_move_before:
ledger_move_after:
ledger_note_before:
ledger_note_after:
  if DIE ON fi;

look:
  if
  DIE
  :: atomic { mine != epoch -> holders--; goto off }                                   /* Stale: nothing more is written */
  :: atomic { mine == epoch && intent == 1 && visible >= 1 -> goto ledger_settle_before }
  :: atomic { mine == epoch && intent == 1 && visible == 0 && QUIET -> goto ledger_settle_before }
  :: atomic { mine == epoch && intent == 0 && visible > 1 -> goto ledger_remove_before }
  :: atomic { mine == epoch && intent == 0 && visible <= 1 && entry == 1 -> goto ledger_record_before }
  :: atomic { mine == epoch && intent == 0 && visible == 1 && entry == 0 -> goto ledger_put_before }
  :: atomic { mine == epoch && intent == 0 && visible == 0 && entry == 0 -> goto engine_create }
  fi;

ledger_settle_before:                 /* one match is adopted; none, after the horizon, is absence */
  if
  DIE
  :: atomic { mine != epoch -> holders--; goto off }
  :: atomic { mine == epoch && intent == 0 -> goto look }                              /* settled by another, meanwhile */
  :: atomic { mine == epoch && intent == 1 && visible >= 1 -> entry = 1; intent = 0 }
  :: atomic { mine == epoch && intent == 1 && visible == 0 && QUIET -> intent = 0 }
  fi;
ledger_settle_after:
  goto look;

ledger_put_before:                    /* adopted: found by its identity */
  if
  DIE
  :: atomic { mine == epoch -> entry = 1 }
  :: atomic { mine != epoch -> holders--; goto off }
  fi;
ledger_put_after:
  goto look;

ledger_remove_before:                 /* one of two is deleted, journalled as every write */
  if
  DIE
  :: atomic { mine == epoch && objects > 1 -> objects--; visible-- }
  :: atomic { mine != epoch || objects <= 1 -> skip }
  fi;
ledger_remove_after:
  goto look;

engine_create:
  if DIE ON fi;
ledger_begin_before:
#if JOURNAL
  if
  DIE
  :: atomic { mine == epoch && intent == 0 -> intent = 1; author = mine }              /* SENT: compare-and-swap on the epoch */
  :: atomic { mine != epoch -> holders--; goto off }
  fi;
#endif
ledger_begin_after:
  if DIE ON fi;
courier_sent:
  if
  DIE
#if FENCE && JOURNAL
  :: atomic { !(intent == 1 && author == mine) -> goto look }                          /* too late: its time has passed */
  :: atomic { intent == 1 && author == mine && flying < 2 -> flying++ }
#else
  :: atomic { flying < 2 -> flying++ }
#endif
  fi;
on_its_way:
  if
  DIE
  :: atomic { flying > 0 && objects < 3 -> flying--; objects++; goto courier_answered }
  :: atomic { flying == 0 -> goto courier_unknown }                                    /* dropped, or the answer was */
  :: atomic { flying > 0 && delays > 0 -> delays--; goto courier_unknown }
  :: atomic { flying > 0 && drops > 0 -> drops--; flying--; goto courier_rejected }    /* refused: nothing changed there */
  fi;

courier_unknown:
ledger_unknown_before:                /* it stays open, with a note: nothing changes */
  if DIE ON fi;
ledger_unknown_after:
  goto look;

courier_rejected:
ledger_reject_before:
  if
  DIE
  :: atomic { mine == epoch -> if :: author == mine -> intent = 0 :: else fi }
  :: atomic { mine != epoch -> holders--; goto off }
  fi;
ledger_reject_after:
  goto look;

courier_answered:
  if DIE ON fi;
ledger_confirm_before:                /* the id and the end of the intent in one transaction */
  if
  DIE
  :: atomic { mine == epoch -> entry = 1; intent = 0 }
  :: atomic { mine != epoch -> holders--; goto off }
  fi;
ledger_confirm_after:
  goto look;

ledger_record_before:
  if DIE ON fi;
ledger_record_after:
ledger_release_before:
  if DIE ON fi;
ledger_release_after:
  atomic { holders--; goto off }
}

ltl never_two { [] (objects <= 1) }
