//! Everything that an app has stored, to be compared with what it has stored later.

use std::{collections::BTreeMap, fmt};

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use tests::{fakes::s3::BUCKET, harness::TestApp};

/// Every document of the database and every object of the bucket.
#[derive(PartialEq)]
pub struct Stored(BTreeMap<String, String>);

impl Stored {
    /// What is stored now.
    pub async fn of(app: &TestApp) -> Self {
        let mut all = BTreeMap::new();
        let database = &app.backend.database;
        for name in database.list_collection_names().await.expect("the database responds") {
            let documents = database.collection::<Document>(&name).find(doc! {}).await;
            let documents: Vec<Document> =
                documents.expect("the database responds").try_collect().await.expect("documents");
            for mut document in documents {
                // Counts of calls, which refused ones change as well.
                document.remove("hourly");
                let id = document.get("_id").expect("every document has an id").to_string();
                all.insert(format!("{name}/{id}"), document.to_string());
            }
        }
        let client = app.s3().client();
        for key in app.s3().keys() {
            let object = client.get_object().bucket(BUCKET).key(&key).send().await.expect("an object");
            let bytes = object.body.collect().await.expect("a whole object").into_bytes();
            all.insert(format!("s3/{key}"), format!("{bytes:?}"));
        }
        Self(all)
    }
}

impl fmt::Debug for Stored {
    /// Objects are long, so only as much as tells them apart at sight.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| text.chars().take(3000).collect::<String>();
        formatter.debug_map().entries(self.0.iter().map(|(key, value)| (key, short(value)))).finish()
    }
}
