// Failed logins.

use std::time::Duration;

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use time::OffsetDateTime;

use crate::Error;
use crate::domain::throttle::{Count, Policy, Subject};
use crate::store::attempts::{ANYWHERE, Attempt, Attempts, Mark};

#[async_trait]
impl Attempts for Queries {
    async fn begin_attempt(&self, subject: Subject, address: &str, pair: Policy, name: Option<Policy>, now: OffsetDateTime, deadline: Deadline) -> Result<Result<Attempt, Duration>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let mut marks = Vec::with_capacity(2);
        // Always in this order, so that attempts at once wait for one another instead of locking each other out.
        for (address, policy) in [(address, Some(pair)), (ANYWHERE, name)] {
            let Some(policy) = policy else {
                continue;
            };
            // Makes the row, or locks the one that is there, in one statement: between two, a success could delete it. Attempts at once
            // queue up behind it.
            let (failures, attempted_at, blocked_until): (i32, Timestamp, Timestamp) = sqlx::query_as(
                "insert into login_attempts (subject, address, failures, attempted_at, blocked_until)
                 values ($1, $2, 0, $3, $3)
                 on conflict (subject, address) do update set failures = login_attempts.failures
                 returning failures, attempted_at, blocked_until",
            )
            .bind(subject.0.as_slice())
            .bind(address)
            .bind(Timestamp(now))
            .fetch_one(&mut *transaction)
            .await?;
            let before = Count {
                failures: failures.unsigned_abs(),
                attempted_at: attempted_at.into(),
                blocked_until: blocked_until.into(),
            };
            let count = match policy.attempt(Some(before), now) {
                Ok(count) => count,
                Err(delay) => return Ok(Err(delay)),
            };
            sqlx::query("update login_attempts set failures = $3, attempted_at = $4, blocked_until = $5 where subject = $1 and address = $2")
                .bind(subject.0.as_slice())
                .bind(address)
                .bind(i32::try_from(count.failures).unwrap_or(i32::MAX))
                .bind(Timestamp(count.attempted_at))
                .bind(Timestamp(count.blocked_until))
                .execute(&mut *transaction)
                .await?;
            marks.push(Mark { address: address.to_owned(), blocked_before: before.blocked_until, blocked_until: count.blocked_until });
        }
        transaction.commit().await?;
        Ok(Ok(Attempt { subject, marks }))
    }

    async fn attempt_succeeded(&self, attempt: &Attempt, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        for mark in &attempt.marks {
            if mark.address == ANYWHERE {
                sqlx::query(TAKE_BACK)
                    .bind(attempt.subject.0.as_slice())
                    .bind(&mark.address)
                    .bind(Timestamp(mark.blocked_until))
                    .bind(Timestamp(mark.blocked_before))
                    .execute(&mut *transaction)
                    .await?;
            } else {
                sqlx::query("delete from login_attempts where subject = $1 and address = $2")
                    .bind(attempt.subject.0.as_slice())
                    .bind(&mark.address)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn withdraw_attempt(&self, attempt: &Attempt, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        for mark in &attempt.marks {
            sqlx::query(TAKE_BACK)
                .bind(attempt.subject.0.as_slice())
                .bind(&mark.address)
                .bind(Timestamp(mark.blocked_until))
                .bind(Timestamp(mark.blocked_before))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Takes one failure back, and its delay unless a later failure has set another.
const TAKE_BACK: &str = "update login_attempts
    set failures = failures - 1,
        blocked_until = case when blocked_until = $3 then $4 else blocked_until end
  where subject = $1 and address = $2 and failures > 0";
