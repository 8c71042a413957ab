//! Lists that are wrong, and histories that the list once told wrongly.

use std::panic::{AssertUnwindSafe, catch_unwind};

use batpak_store::{Durability, Granularity, Selector};

use super::{
    Op, Run,
    list::{Draw, Model},
    rules::Rules,
    shreds::scope_of,
};

/// The control: a list that says otherwise than the store is refuted, be it in a payload, a shred, a hold or an event more.
#[test]
fn list_that_is_wrong_is_refuted() {
    let wrong: [fn(&mut Model); 7] = [
        |model| model.events[1].as_mut().unwrap().payload[0] ^= 1,
        |model| model.events[1].as_mut().unwrap().shredded = None,
        |model| model.events[2].as_mut().unwrap().shredded = Some(3),
        |model| model.events.push(None),
        |model| drop(model.holds.pop()),
        |model| model.holds[0].position -= 1,
        |model| model.holds[0].selector = Selector::Entity("c".into()),
    ];
    let events = [0, 1].map(|key| Op::Append(plain(key)));
    let shred = Op::Shred(vec![Selector::Entity("a".into())]);
    for (n, break_it) in wrong.into_iter().enumerate() {
        let mut run = Run::new(Some(Granularity::Entity));
        events.iter().for_each(|op| run.step(op));
        if n > 0 {
            run.step(&shred);
            run.step(&Op::Hold(Selector::Entity("b".into())));
        }
        run.step(&Op::Read);
        break_it(&mut run.model);
        let refuted = catch_unwind(AssertUnwindSafe(|| run.step(&Op::Read)));
        assert!(refuted.is_err(), "lie {n} was believed");
    }
}

/// The id of a key that was never published is that of the next process's first key, so a plan for it still holds; that of a published
/// key is not taken again.
#[test]
fn plan_for_a_key_that_nothing_names_holds_while_its_id_was_not_published() {
    for published in [false, true] {
        let mut run = Run::new(Some(Granularity::Entity));
        run.step(&Op::Shred(vec![Selector::Entity("c".into())]));
        if published {
            run.step(&Op::Append(plain(1)));
        }
        let refused = Op::Batch([3, 2].map(plain).to_vec());
        [refused.clone(), Op::Plan(vec![Selector::Entity("a".into())]), Op::Reopen, refused]
            .iter()
            .for_each(|op| run.step(op));
        let (selectors, hash, _) = run.plan.clone().unwrap();
        let now = run.store.as_ref().unwrap().plan_shred(&selectors).unwrap();
        assert_eq!((now.keys, now.events, now.hash == hash), (1, 0, !published));
        run.step(&Op::Apply);
        assert_eq!(run.met.planned, u64::from(!published));
    }
}

fn plain(key: u8) -> Draw {
    Draw { key, content: 1, cause: None, durability: Durability::Synced, rules: Rules::default() }
}

/// The control of what is answered and not read: a list that knows other keys, holds or events than the store foretells other answers.
#[test]
fn list_that_foretells_another_answer_is_refuted() {
    let (a, b) = (Selector::Entity("a".into()), Selector::Entity("b".into()));
    let both = vec![a.clone(), b.clone()];
    type Lie = (fn(&mut Model), Op);
    let lies: [Lie; 6] = [
        // A key that the store does not have.
        (|model| model.minted_for("c"), Op::Plan(vec![Selector::Entity("c".into())])),
        // A key of before in place of that of now: what was planned would be another plan.
        (|model| model.events[1].as_mut().unwrap().key = 77, Op::Apply),
        (|model| drop(model.holds.pop()), Op::Shred(both.clone())),
        (|model| model.holds.clear(), Op::Release(0, b.clone())),
        (|model| model.refused.extend([scope_of(&Selector::Entity("a".into()))]), Op::Append(plain(3))),
        (|model| model.events[2] = None, Op::Append(Rules::no_stream(plain(4)))),
    ];
    for (n, (lie, op)) in lies.into_iter().enumerate() {
        for told in [false, true] {
            let mut run = Run::new(Some(Granularity::Entity));
            [0, 1].iter().for_each(|key| run.step(&Op::Append(plain(*key))));
            run.step(&Op::Hold(b.clone()));
            run.step(&Op::Plan(both.clone()));
            if told {
                lie(&mut run.model);
            }
            let refuted = catch_unwind(AssertUnwindSafe(|| run.step(&op))).is_err();
            assert_eq!(refuted, told, "lie {n}");
        }
    }
}
