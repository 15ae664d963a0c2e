//! The proxy between the official driver and a real server.

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection};

use super::super::mongodb::MongoDb;
use super::*;

struct World {
    wire: MongoWire,
    client: Client,
    users: Collection<Document>,
    server: MongoDb,
}

async fn world() -> World {
    let server = MongoDb::start(None, 0).unwrap();
    let wire = MongoWire::start(server.uri()).await.unwrap();
    let client = Client::with_uri_str(wire.uri()).await.unwrap();
    let users = client.database("app").collection("users");
    users.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
    wire.reset();
    World { wire, client, users, server }
}

fn names(commands: &[Command]) -> Vec<&str> {
    commands.iter().map(|command| command.name.as_str()).collect()
}

#[tokio::test]
async fn every_command_is_recorded_with_where_and_when() {
    let World { wire, client, users, server: _server } = world().await;
    let before = Instant::now();
    users.insert_many((2..8).map(|id| doc! { "_id": id, "n": 0 })).await.unwrap();
    let found: Vec<_> = users.find(doc! {}).batch_size(3).await.unwrap().try_collect().await.unwrap();
    users.find_one_and_update(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap().unwrap();
    users.delete_one(doc! { "_id": 2 }).await.unwrap();
    client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
    client.database("admin").run_command(doc! { "buildInfo": 1 }).await.unwrap();
    assert_eq!(found.len(), 7);

    let commands = wire.commands();
    assert_eq!(names(&commands), ["insert", "find", "getMore", "getMore", "findAndModify", "delete"]);
    for command in commands {
        assert_eq!((command.database.as_str(), command.collection.as_deref()), ("app", Some("users")));
        assert!(before < command.started && command.started < command.ended.unwrap());
    }
    let housekeeping = wire.housekeeping();
    assert!(names(&housekeeping).contains(&"ping") && names(&housekeeping).contains(&"buildInfo"));
    wire.reset();
    assert!(wire.commands().is_empty());
}

#[tokio::test]
async fn a_new_client_is_seen_to_shake_hands() {
    let World { wire, server: _server, .. } = world().await;
    let client = Client::with_uri_str(wire.uri()).await.unwrap();
    client.database("app").collection::<Document>("users").find_one(doc! {}).await.unwrap().unwrap();
    assert!(wire.connections() >= 2, "one to watch the server, one to work");
    assert!(names(&wire.housekeeping()).iter().any(|name| name.eq_ignore_ascii_case("hello")));
    assert_eq!(names(&wire.commands()), ["find"]);
}

#[tokio::test]
async fn a_transaction_works_through_it() {
    let World { wire, client, users, server: _server } = world().await;
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    users.insert_one(doc! { "_id": 2 }).session(&mut session).await.unwrap();
    users.insert_one(doc! { "_id": 3 }).session(&mut session).await.unwrap();
    session.commit_transaction().await.unwrap();
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 3);
    assert_eq!(names(&wire.commands()), ["insert", "insert", "commitTransaction", "aggregate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_work_at_once() {
    let World { wire, users, server: _server, .. } = world().await;
    let increments = (0..500).map(|_| {
        let users = users.clone();
        tokio::spawn(async move {
            users.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap()
        })
    });
    futures::future::join_all(increments.collect::<Vec<_>>())
        .await
        .into_iter()
        .for_each(|done| drop(done.unwrap()));
    assert_eq!(users.find_one(doc! {}).await.unwrap().unwrap().get_i32("n").unwrap(), 500);
    let commands = wire.commands();
    assert_eq!(commands.len(), 501);
    assert!(commands.iter().all(|command| command.ended.is_some()));
    assert!(wire.connections() > 1);
}

#[tokio::test]
async fn a_cut_before_the_server_loses_the_command_and_the_driver_repeats_it_once() {
    let World { wire, users, server: _server, .. } = world().await;
    wire.fault(1, Some("update"), Some("users"), Fault::CutBefore);
    users.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap();
    assert_eq!(names(&wire.commands()), ["update", "update"]);
    assert!(wire.commands()[0].ended.is_none());

    wire.fault(2, Some("update"), None, Fault::CutBefore);
    users.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap_err();
    assert_eq!(users.find_one(doc! {}).await.unwrap().unwrap().get_i32("n").unwrap(), 1);
}

#[tokio::test]
async fn a_cut_after_the_server_loses_the_reply_only() {
    let World { wire, users, server: _server, .. } = world().await;
    // A repeated write is recognised by the server: applied once, answered as before.
    wire.fault(1, Some("update"), Some("users"), Fault::CutAfter);
    let updated = users.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap();
    assert_eq!((updated.modified_count, names(&wire.commands())), (1, vec!["update", "update"]));

    let mut options = ClientOptions::parse(wire.uri()).await.unwrap();
    options.retry_writes = Some(false);
    let plain = Client::with_options(options).unwrap().database("app").collection::<Document>("users");
    wire.fault(1, None, Some("users"), Fault::CutAfter);
    plain.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap_err();
    assert_eq!(users.find_one(doc! {}).await.unwrap().unwrap().get_i32("n").unwrap(), 2);
}

#[tokio::test]
async fn a_refusal_is_the_servers_error_to_the_driver() {
    let World { wire, users, server: _server, .. } = world().await;
    wire.fault(1, None, None, Fault::Refuse { code: 8000, message: "over quota".to_owned() });
    let error = users.delete_one(doc! { "_id": 1 }).await.unwrap_err();
    let ErrorKind::Command(refused) = error.kind.as_ref() else { panic!("{error:?}") };
    assert_eq!((refused.code, refused.message.as_str()), (8000, "over quota"));
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 1);
}

#[tokio::test]
async fn delays_apply_to_one_command_or_to_all() {
    let World { wire, users, server: _server, .. } = world().await;
    wire.fault(1, Some("find"), Some("users"), Fault::Delay(Duration::from_millis(300)));
    wire.fault(1, Some("find"), Some("others"), Fault::Delay(Duration::from_mins(1)));
    for (all, least, most) in [(0, 300, 600), (0, 0, 200), (150, 150, 500)] {
        wire.set_delay(Duration::from_millis(all));
        let started = Instant::now();
        users.find_one(doc! {}).await.unwrap().unwrap();
        let took = started.elapsed();
        assert!((Duration::from_millis(least)..Duration::from_millis(most)).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_back_for_the_same_client() {
    let World { wire, client, users, server: _server } = world().await;
    let mut options = ClientOptions::parse(wire.uri()).await.unwrap();
    options.server_selection_timeout = Some(Duration::from_millis(300));
    let hasty = Client::with_options(options).unwrap().database("app").collection::<Document>("users");
    hasty.find_one(doc! {}).await.unwrap();
    wire.set_down(true);
    hasty.find_one(doc! {}).await.unwrap_err();
    wire.set_down(false);
    users.find_one(doc! {}).await.unwrap().unwrap();
    drop(client);
}

#[test]
fn connection_strings_keep_all_but_the_address() {
    let through = |uri: &str| {
        parts(uri).map(|(user, address, tail)| format!("{user}[{address}]{}", with_direct_connection(tail)))
    };
    assert_eq!(
        through("mongodb://u:p%40@localhost/app?authSource=admin").unwrap(),
        "u:p%40@[localhost:27017]/app?authSource=admin&directConnection=true"
    );
    assert_eq!(through("mongodb://127.0.0.1:1").unwrap(), "[127.0.0.1:1]/?directConnection=true");
    assert_eq!(through("mongodb://h:1/?directConnection=true").unwrap(), "[h:1]/?directConnection=true");
    assert_eq!(through("mongodb://a:1,b:2/"), None);
    assert_eq!(through("mongodb+srv://a/"), None);
}
