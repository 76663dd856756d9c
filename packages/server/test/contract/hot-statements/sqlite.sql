-- enqueue
insert into "requests" ("request_id", "endpoint_id", "priority", "losses", "not_before", "run_timeout_ms", "cancel_requested", "retry", "store_io", "key_id", "account", "files_url", "webhook_url", "webhook_host", "runner_hint", "object_lifecycle", "kind", "state", "attempt", "turn", "accepted_at", "start_deadline") values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (select max(turn) from ( select coalesce(cast(? as bigint), ( select max(turn) + 1 from requests where state || '' = 'queued' and account = ? and endpoint_id = ? and priority = ? )) as turn union all select coalesce( (select coalesce(min(case attempt when 0 then turn end), max(turn)) from ( select turn, attempt from requests where state = 'queued' and endpoint_id = ? and priority = ? order by turn, seq limit 32 ) as first_entries), (select max(turn) from requests where state = 'running' and endpoint_id = ? and priority = ?) ) union all select 0 ) as turns), cast(? as bigint), ?) returning "seq", "turn";

-- claim
select "advertisement" from "runners" where "heard_at" > cast(? as bigint) - ? order by "runner_id";
update "requests" set "state" = ?, "attempt" = "attempt" + ?, "runner_id" = ?, "started_at" = cast(? as bigint), "lease_until" = cast(? as bigint) + ?, "run_deadline" = cast(? as bigint) + run_timeout_ms where "seq" = (select "requests"."seq" from "requests" inner join (select seq, priority, turn, max(counts_from) over (partition by endpoint_id, priority order by turn, seq) - case when endpoint_id in (?) or runner_hint in (?) then cast(? as bigint) else 0 end as due from (select entry.*, accepted_at + case when served_at > min(accepted_at) over (partition by entry.account) then served_at - min(accepted_at) over (partition by entry.account) else 0 end as counts_from from (select * from (select seq, endpoint_id, priority, turn, accepted_at, account, runner_hint from requests where state = 'queued' and endpoint_id = ? and not_before <= cast(? as bigint) and (start_deadline is null or start_deadline > cast(? as bigint)) and (? = 0 or accepted_at <= cast(? as bigint) - ?) order by priority, turn, seq limit 8) as head union all select * from (select seq, endpoint_id, priority, turn, accepted_at, account, runner_hint from requests where state = 'queued' and endpoint_id = ? and not_before <= cast(? as bigint) and (start_deadline is null or start_deadline > cast(? as bigint)) and (? = 0 or accepted_at <= cast(? as bigint) - ?) order by priority, turn, seq limit 8) as head) as entry left join (select key as account, value as served_at from json_each(?)) as served on served.account = entry.account) as counted) as "line" on "line"."seq" = "requests"."seq" where state || '' = ? order by "line"."priority", "line"."due", "line"."turn", "line"."seq" limit ?) returning *, (select "input" from "payloads" where "payloads"."request_id" = "requests"."request_id") as "input";

-- peek
select "requests"."request_id", "requests"."endpoint_id", "payloads"."input" from "requests" inner join "payloads" on "payloads"."request_id" = "requests"."request_id" where "requests"."seq" = (select "requests"."seq" from "requests" inner join (select seq, priority, turn, max(counts_from) over (partition by endpoint_id, priority order by turn, seq) - case when endpoint_id in (?) or runner_hint in (?) then cast(? as bigint) else 0 end as due from (select entry.*, accepted_at + case when served_at > min(accepted_at) over (partition by entry.account) then served_at - min(accepted_at) over (partition by entry.account) else 0 end as counts_from from (select * from (select seq, endpoint_id, priority, turn, accepted_at, account, runner_hint from requests where state = 'queued' and endpoint_id = ? and not_before <= cast(? as bigint) and (start_deadline is null or start_deadline > cast(? as bigint)) and (? = 0 or accepted_at <= cast(? as bigint) - ?) order by priority, turn, seq limit 8) as head union all select * from (select seq, endpoint_id, priority, turn, accepted_at, account, runner_hint from requests where state = 'queued' and endpoint_id = ? and not_before <= cast(? as bigint) and (start_deadline is null or start_deadline > cast(? as bigint)) and (? = 0 or accepted_at <= cast(? as bigint) - ?) order by priority, turn, seq limit 8) as head) as entry left join (select key as account, value as served_at from json_each(?)) as served on served.account = entry.account) as counted) as "line" on "line"."seq" = "requests"."seq" where state || '' = ? order by "line"."priority", "line"."due", "line"."turn", "line"."seq" limit ?);

-- heartbeat
update "runners" set "heard_at" = cast(? as bigint) where "runner_id" = ?;
update "requests" set "lease_until" = cast(? as bigint) + ? where state || '' = ? and "runner_id" = ? and ("request_id" = ? and "attempt" = ?) returning "request_id", "cancel_requested";

-- append logs
select "seq" from "requests" where "request_id" = ? and "attempt" = ? and state || '' = ?;

-- complete
update "requests" set "state" = ?, "completed_at" = cast(? as bigint), "expires_at" = cast(? as bigint) + case store_io when 1 then cast(? as bigint) else cast(? as bigint) end, "lease_until" = ?, "run_deadline" = ?, "status" = ?, "headers" = ?, "error_message" = ?, "error_type" = ?, "inference_seconds" = ? where "request_id" = ? and state || '' = ? and "attempt" = ? returning "request_id", "endpoint_id", "webhook_url", "account", "webhook_host";

-- status
select * from "requests" where "request_id" = ? and "kind" in (?);

-- position
select "endpoint_id", "priority", "turn", "seq" from "requests" where "request_id" = ? and state || '' = ?;

-- result
select * from "requests" where "request_id" = ? and "kind" in (?);

