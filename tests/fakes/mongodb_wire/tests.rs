//! The proxy between the official driver and a real server.

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection};

use super::super::mongodb::MongoDb;
use super::*;

struct Fixture {
    wire: MongoWire,
    client: Client,
    users: Collection<Document>,
    server: MongoDb,
}

async fn start() -> Fixture {
    let server = MongoDb::start(None, 0).unwrap();
    let wire = MongoWire::start(server.uri()).await.unwrap();
    let client = Client::with_uri_str(wire.uri()).await.unwrap();
    let users = client.database("app").collection("users");
    users.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
    wire.reset();
    Fixture { wire, client, users, server }
}

fn names(commands: &[Command]) -> Vec<&str> {
    commands.iter().map(|command| command.name.as_str()).collect()
}

#[tokio::test]
async fn commands_are_recorded_with_database_collection_and_time() {
    let Fixture { wire, client, users, server: _server } = start().await;
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
async fn handshake_of_a_new_client_is_recorded() {
    let Fixture { wire, server: _server, .. } = start().await;
    let client = Client::with_uri_str(wire.uri()).await.unwrap();
    client.database("app").collection::<Document>("users").find_one(doc! {}).await.unwrap().unwrap();
    assert!(wire.connections() >= 2, "one to watch the server, one to work");
    assert!(names(&wire.housekeeping()).iter().any(|name| name.eq_ignore_ascii_case("hello")));
    assert_eq!(names(&wire.commands()), ["find"]);
}

#[tokio::test]
async fn transaction_works_through_the_proxy() {
    let Fixture { wire, client, users, server: _server } = start().await;
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    users.insert_one(doc! { "_id": 2 }).session(&mut session).await.unwrap();
    users.insert_one(doc! { "_id": 3 }).session(&mut session).await.unwrap();
    session.commit_transaction().await.unwrap();
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 3);
    assert_eq!(names(&wire.commands()), ["insert", "insert", "commitTransaction", "aggregate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_work_concurrently() {
    let Fixture { wire, users, server: _server, .. } = start().await;
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
async fn cut_before_loses_the_command_and_the_driver_retries_once() {
    let Fixture { wire, users, server: _server, .. } = start().await;
    wire.inject(1, Some("update"), Some("users"), Fault::CutBefore);
    users.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap();
    assert_eq!(names(&wire.commands()), ["update", "update"]);
    assert!(wire.commands()[0].ended.is_none());

    wire.inject(2, Some("update"), None, Fault::CutBefore);
    users.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap_err();
    assert_eq!(users.find_one(doc! {}).await.unwrap().unwrap().get_i32("n").unwrap(), 1);
}

#[tokio::test]
async fn cut_after_loses_only_the_reply() {
    let Fixture { wire, users, server: _server, .. } = start().await;
    // The server recognises a retried write: applied once, with the same reply.
    wire.inject(1, Some("update"), Some("users"), Fault::CutAfter);
    let updated = users.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap();
    assert_eq!((updated.modified_count, names(&wire.commands())), (1, vec!["update", "update"]));

    let mut options = ClientOptions::parse(wire.uri()).await.unwrap();
    options.retry_writes = Some(false);
    let plain = Client::with_options(options).unwrap().database("app").collection::<Document>("users");
    wire.inject(1, None, Some("users"), Fault::CutAfter);
    plain.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap_err();
    assert_eq!(users.find_one(doc! {}).await.unwrap().unwrap().get_i32("n").unwrap(), 2);
}

#[tokio::test]
async fn refusal_is_a_server_error_to_the_driver() {
    let Fixture { wire, users, server: _server, .. } = start().await;
    wire.inject(1, None, None, Fault::Refuse { code: 8000, message: "over quota".to_owned() });
    let error = users.delete_one(doc! { "_id": 1 }).await.unwrap_err();
    let ErrorKind::Command(command) = error.kind.as_ref() else { panic!("{error:?}") };
    assert_eq!((command.code, command.message.as_str()), (8000, "over quota"));
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 1);
}

#[tokio::test]
async fn delay_applies_to_one_command_or_to_all() {
    let Fixture { wire, users, server: _server, .. } = start().await;
    wire.inject(1, Some("find"), Some("users"), Fault::Delay(Duration::from_millis(300)));
    // For another collection: if it applied here, its find would never end.
    wire.inject(1, Some("find"), Some("others"), Fault::HangBefore);
    for (all, least) in [(0, 300), (0, 0), (150, 150)] {
        wire.set_delay(Duration::from_millis(all));
        let started = Instant::now();
        users.find_one(doc! {}).await.unwrap().unwrap();
        assert!(started.elapsed() >= Duration::from_millis(least), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn down_closes_connections_until_the_server_is_up_again() {
    let Fixture { wire, client, users, server: _server } = start().await;
    let mut options = ClientOptions::parse(wire.uri()).await.unwrap();
    options.server_selection_timeout = Some(Duration::from_millis(300));
    let hasty = Client::with_options(options).unwrap().database("app").collection::<Document>("users");
    let connections = wire.connections();
    wire.set_down(true);
    hasty.find_one(doc! {}).await.unwrap_err();
    wire.set_down(false);
    users.find_one(doc! {}).await.unwrap().unwrap();
    assert!(wire.connections() > connections, "the open connections were closed");
    drop(client);
}

#[test]
fn connection_string_keeps_all_but_the_address() {
    let through = |uri: &str| {
        split_uri(uri)
            .map(|(user, address, tail)| format!("{user}[{address}]{}", with_direct_connection(tail)))
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
