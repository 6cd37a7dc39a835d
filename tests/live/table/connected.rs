//! Connected line: whom phones show once a call is answered.

use super::{Needs, Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row("connected: a caller's phone shows the colleague who answered", Needs::phones(2), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!((call.shows(), rings.shows()), ("Phone 1 <1001>".into(), "Phone 0 <1000>".into()));
        }),
        row(
            "connected: a caller's phone shows the number outside",
            Needs::phones(1).agents(1).carriers(1),
            async |t| {
                let call = t.phone(0).calls(&t.outside());
                let _taken = t.carrier(0).rings().await.answers().await;
                call.answered().await;
                let number = t.outside();
                assert_eq!(call.shows(), format!("{number} <{number}>"));
            },
        ),
    ]
}
