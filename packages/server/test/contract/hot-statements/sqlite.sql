-- enqueue
insert into "payloads" ("request_id", "input", "output") values (?, ?, ?);
insert into "requests" ("request_id", "endpoint_id", "priority", "losses", "not_before", "run_timeout_ms", "cancel_requested", "retry", "store_io", "key_id", "account", "files_url", "webhook_url", "webhook_host", "runner_hint", "object_lifecycle", "kind", "state", "attempt", "accepted_at", "start_deadline") values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, cast(? as bigint), ?) returning "seq";

-- claim
select "advertisement" from "runners" where "heard_at" > cast(? as bigint) - ? order by "runner_id";
update "requests" set "state" = ?, "attempt" = "attempt" + ?, "runner_id" = ?, "started_at" = cast(? as bigint), "lease_until" = cast(? as bigint) + ?, "run_deadline" = cast(? as bigint) + run_timeout_ms where "seq" = (select "seq" from "requests" where "seq" in (select seq from (select seq from requests where state = 'queued' and endpoint_id = ? and not_before <= cast(? as bigint) and (start_deadline is null or start_deadline > cast(? as bigint)) and (? = 0 or accepted_at <= cast(? as bigint) - ?) order by priority, seq limit 8) as head union all select seq from (select seq from requests where state = 'queued' and endpoint_id = ? and not_before <= cast(? as bigint) and (start_deadline is null or start_deadline > cast(? as bigint)) and (? = 0 or accepted_at <= cast(? as bigint) - ?) order by priority, seq limit 8) as head) and state || '' = ? order by "priority", accepted_at - case when endpoint_id in (?) or runner_hint in (?) then cast(? as bigint) else 0 end, "seq" limit ?) returning *, (select "input" from "payloads" where "payloads"."request_id" = "requests"."request_id") as "input";

-- heartbeat
update "runners" set "heard_at" = cast(? as bigint) where "runner_id" = ?;
update "requests" set "lease_until" = cast(? as bigint) + ? where state || '' = ? and "runner_id" = ? and ("request_id" = ? and "attempt" = ?) returning "request_id", "cancel_requested";

-- append logs
select "seq" from "requests" where "request_id" = ? and "attempt" = ? and state || '' = ?;

-- complete
update "requests" set "state" = ?, "completed_at" = cast(? as bigint), "expires_at" = cast(? as bigint) + case store_io when 1 then cast(? as bigint) else cast(? as bigint) end, "lease_until" = ?, "run_deadline" = ?, "status" = ?, "headers" = ?, "error_message" = ?, "error_type" = ?, "inference_seconds" = ? where "request_id" = ? and state || '' = ? and "attempt" = ? returning "request_id", "endpoint_id", "webhook_url";

-- status
select * from "requests" where "request_id" = ? and "kind" in (?);

-- position
select "endpoint_id", "priority", "seq" from "requests" where "request_id" = ? and state || '' = ?;

-- result
select * from "requests" where "request_id" = ? and "kind" in (?);

