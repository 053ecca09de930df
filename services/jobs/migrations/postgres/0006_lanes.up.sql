-- A lane bounds how many jobs of one owner, or deliveries to one host, have a place with workers at once. Jobs without a
-- place wait here, not in the broker; the write that frees a place gives it to the next one.
create table lanes (
    queue       text not null,
    key         text collate "C" not null,
    -- Jobs that may have a place at once.
    width       integer not null,
    -- Jobs that have not ended; those of them that are queued without a place; and those that have one.
    pending     integer not null,
    waiting     integer not null,
    admitted    integer not null,
    -- Places that the last write gave to the jobs that it made.
    granted     integer not null,
    -- When the next job of the lane may begin, for lanes that are paced.
    paced_until timestamptz,
    primary key (queue, key)
);

-- Free places that somebody waits for: none, but for a moment or after a crash.
create index lanes_room_idx on lanes (queue, key) where waiting > 0 and admitted < width;

alter table jobs add column lane text collate "C";
-- Since when it has a place, so that a worker may claim it.
alter table jobs add column admitted_at timestamptz;
-- The order within a lane of several owners, who take turns.
alter table jobs add column turn bigint;

update jobs set admitted_at = updated_at where status in ('queued', 'running');

-- What workers claim, the longest admitted first.
create index jobs_ready_idx on jobs (queue, admitted_at) where status = 'queued' and admitted_at is not null;
-- What waits for a place.
create index jobs_waiting_idx on jobs (queue, lane, turn, id) where status = 'queued' and admitted_at is null;
create index jobs_turn_idx on jobs (queue, lane, owner, turn)
    where status = 'queued' and admitted_at is null and turn is not null;
-- What a lane counts.
create index jobs_lane_idx on jobs (queue, lane) where lane is not null and finished_at is null;

insert into queues (name) values ('webhooks');
