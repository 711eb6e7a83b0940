//! The Tandem client: one sans-IO session, a blocking and a tokio driver.
