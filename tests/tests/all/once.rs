//! A wish that is sent again is granted once.

use anyhow::{Result, ensure};
use std::time::Duration;
use tests::{Role, load::history, samples};
use tokio::try_join;
use uuid::Uuid;

use crate::world::World;

pub(crate) async fn one_key_makes_one_product_though_its_handler_dies(
    world: &mut World,
) -> Result<()> {
    let (client, key) = (world.client.clone(), Uuid::now_v7().to_string());
    // Without a number of its own, only the key says that it is the same product.
    let mut body = samples::vacuum();
    body.as_object_mut().map(|body| body.remove("external_id"));
    world.fleet.restart(Role::Handler, Some("handler.before_commit:1:kill"))?;
    let restarted = async {
        let within = Duration::from_secs(60);
        world.fleet.process(Role::Handler)?.until_ended(within).await?;
        world.fleet.restart(Role::Handler, None)
    };
    let send = || client.insist("/products", &body, &key);
    let (first, second, ()) = try_join!(send(), send(), restarted)?;
    let third = send().await?;
    for answer in [&first, &second, &third] {
        ensure!(answer.status == 201 && answer.body == first.body, "{answer:?}, {first:?}");
        ensure!(answer.header("etag")? == "\"1\"");
    }
    let (id, token) = (first.text("/id")?, first.header("consistency-token")?);
    client.see(&format!("/products/{id}/history"), &token).await?;
    ensure!(history(&client, &id).await?.len() == 1);

    body["name"] = "다른 청소기".into();
    let other = client.post("/products", &body).key(&key).send().await?.expect(422)?;
    ensure!(other.text("/code")? == "KEY_REUSED");
    Ok(())
}

pub(crate) async fn one_number_makes_one_product(world: &mut World) -> Result<()> {
    let (client, body) = (&world.client, samples::vacuum());
    let (id, _) = client.register(&body).await?;
    let again = client.post("/products", &body).send().await?.expect(409)?;
    ensure!(again.text("/code")? == "PRODUCT_ALREADY_REGISTERED");
    let other = client.with("other", "other-key").register(&body).await?.0;
    ensure!(other != id, "a number belongs to one mall");
    Ok(())
}
