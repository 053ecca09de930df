//! Profiles: everybody's to read, their owner's to write.

use quartet_proto::users::v1 as pb;
use quartet_testkit::identity::Identity;
use tonic::{Code, Status};

use super::{Users, because, breaks, broken, mask, refusal};

impl Users {
    async fn write(
        &mut self,
        by: &Identity,
        who: &Identity,
        profile: pb::ProfileEdit,
        paths: &[&str],
    ) -> Result<pb::Profile, Status> {
        let request = by.request(pb::UpdateProfileRequest {
            user_id: who.id.to_string(),
            profile: Some(profile),
            update_mask: mask(paths),
            etag: String::new(),
        });
        self.client
            .update_profile(request)
            .await
            .map(tonic::Response::into_inner)
    }

    async fn profile(&mut self, by: &Identity, who: &Identity) -> Result<pb::Profile, Status> {
        let get = pb::GetProfileRequest {
            user_id: who.id.to_string(),
        };
        self.client
            .get_profile(by.request(get))
            .await
            .map(tonic::Response::into_inner)
    }
}

fn profile(bio: &str, avatar_url: &str) -> pb::ProfileEdit {
    let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    pb::ProfileEdit {
        bio: set(bio),
        avatar_url: set(avatar_url),
    }
}

#[tokio::test]
async fn a_whole_profile_replaces_and_a_mask_leaves_the_rest() {
    let mut users = Users::new().await;
    let (ada, bob) = (users.ada.clone(), users.join("bob").await);
    let missing = users.profile(&bob, &ada).await.unwrap_err();
    assert_eq!(refusal(missing), because(Code::NotFound, "PROFILE_NOT_FOUND"));

    let url = "https://example.org/a.png";
    users.write(&ada, &ada, profile("Hello", url), &[]).await.unwrap();
    let patched = users.write(&ada, &ada, profile("Hi", ""), &["bio"]).await.unwrap();
    assert_eq!((patched.bio(), patched.avatar_url()), ("Hi", url));
    let cleared = users.write(&ada, &ada, profile("", ""), &["bio"]).await.unwrap();
    assert_eq!((cleared.bio.as_deref(), cleared.avatar_url()), (None, url));
    let replaced = users.write(&ada, &ada, profile("Back", ""), &[]).await.unwrap();
    assert_eq!((replaced.bio(), replaced.avatar_url.as_deref()), ("Back", None));
    assert_eq!(users.profile(&bob, &ada).await.unwrap(), replaced);
}

#[tokio::test]
async fn a_profile_is_its_owners_and_superusers_to_write() {
    let mut users = Users::new().await;
    let (ada, bob, superuser) = (users.ada.clone(), users.join("bob").await, users.superuser.clone());
    let status = users.write(&bob, &ada, profile("Hm", ""), &[]).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::PermissionDenied, "NOT_YOUR_USER"));
    users.write(&superuser, &ada, profile("Hm", ""), &[]).await.unwrap();

    let delete = |by: &Identity| {
        by.request(pb::DeleteProfileRequest {
            user_id: ada.id.to_string(),
            etag: String::new(),
        })
    };
    let status = users.client.delete_profile(delete(&bob)).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::PermissionDenied, "NOT_YOUR_USER"));
    users.client.delete_profile(delete(&ada)).await.unwrap();
    let status = users.client.delete_profile(delete(&ada)).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::NotFound, "PROFILE_NOT_FOUND"));

    let nobody = Identity::user(&users.clock);
    let status = users.profile(&ada, &nobody).await.unwrap_err();
    assert_eq!(refusal(status), because(Code::NotFound, "USER_NOT_FOUND"));
    let status = users
        .write(&superuser, &nobody, profile("Boo", ""), &[])
        .await
        .unwrap_err();
    assert_eq!(refusal(status), because(Code::NotFound, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn fields_that_break_their_rules_are_named() {
    let mut users = Users::new().await;
    let ada = users.ada.clone();
    let long = format!("https://example.org/{}", "x".repeat(231));
    let status = users
        .write(&ada, &ada, profile(&"ё".repeat(251), &long), &[])
        .await
        .unwrap_err();
    assert_eq!(
        broken(&status),
        breaks(&[
            ("profile.bio", "STRING_MAX_LEN"),
            ("profile.avatar_url", "STRING_MAX_LEN")
        ])
    );
    let status = users
        .write(
            &ada,
            &ada,
            profile("a\0b", "ftp://example.org/"),
            &["bio", "avatar_url", "user_id"],
        )
        .await
        .unwrap_err();
    assert_eq!(
        broken(&status),
        breaks(&[
            ("update_mask", "UNKNOWN_FIELD"),
            ("profile.bio", "CONTROL_CHARACTERS"),
            ("profile.avatar_url", "STRING_URI"),
        ])
    );
}
