-- enqueue
with "payload" as (insert into "payloads" ("request_id", "input", "output") values ($1, $2, $3) returning "request_id") insert into "requests" ("request_id", "endpoint_id", "priority", "losses", "not_before", "run_timeout_ms", "cancel_requested", "retry", "store_io", "key_id", "account", "files_url", "webhook_url", "webhook_host", "runner_hint", "object_lifecycle", "kind", "state", "attempt", "turn", "accepted_at", "start_deadline") values ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, (select max(turn) from ( select coalesce(cast($23 as bigint), ( select max(turn) + 1 from requests where state || '' = 'queued' and account = $24 and endpoint_id = $25 and priority = $26 )) as turn union all select coalesce( (select coalesce(min(case attempt when 0 then turn end), max(turn)) from ( select turn, attempt from requests where state = 'queued' and endpoint_id = $27 and priority = $28 order by turn, seq limit 32 ) as first_entries), (select max(turn) from requests where state = 'running' and endpoint_id = $29 and priority = $30) ) union all select 0 ) as turns), cast($31 as bigint), $32) returning "seq", "turn";

-- claim
select "advertisement" from "runners" where "heard_at" > cast($1 as bigint) - $2 order by "runner_id";
update "requests" set "state" = $1, "attempt" = "attempt" + $2, "runner_id" = $3, "started_at" = cast($4 as bigint), "lease_until" = cast($5 as bigint) + $6, "run_deadline" = cast($7 as bigint) + run_timeout_ms where "seq" = (select "requests"."seq" from "requests" inner join (select seq, priority, turn, max(counts_from) over (partition by endpoint_id, priority order by turn, seq) - case when endpoint_id in ($8) or runner_hint in ($9) then cast($10 as bigint) else 0 end as due from (select entry.*, accepted_at + case when served_at > min(accepted_at) over (partition by entry.account) then served_at - min(accepted_at) over (partition by entry.account) else 0 end as counts_from from (select head.* from unnest($11::text[], $12::bigint[]) as source (endpoint_id, patience) cross join lateral (select seq, endpoint_id, priority, turn, accepted_at, account, runner_hint from requests where state = 'queued' and endpoint_id = source.endpoint_id and not_before <= cast($13 as bigint) and (start_deadline is null or start_deadline > cast($14 as bigint)) and (source.patience = 0 or accepted_at <= cast($15 as bigint) - source.patience) order by priority, turn, seq limit 8) as head) as entry left join (select key as account, value::bigint as served_at from json_each_text($16::json)) as served on served.account = entry.account) as counted) as "line" on "line"."seq" = "requests"."seq" where state || '' = $17 order by "line"."priority", "line"."due", "line"."turn", "line"."seq" limit $18 for update of "requests" skip locked) returning *, (select "input" from "payloads" where "payloads"."request_id" = "requests"."request_id") as "input";
select 1 where exists (select head.* from unnest($1::text[], $2::bigint[]) as source (endpoint_id, patience) cross join lateral (select seq, endpoint_id, priority, turn, accepted_at, account, runner_hint from requests where state = 'queued' and endpoint_id = source.endpoint_id and not_before <= cast($3 as bigint) and (start_deadline is null or start_deadline > cast($4 as bigint)) and (source.patience = 0 or accepted_at <= cast($5 as bigint) - source.patience) order by priority, turn, seq limit 1) as head);

-- heartbeat
update "runners" set "heard_at" = cast($1 as bigint) where "runner_id" = $2;
update "requests" set "lease_until" = cast($1 as bigint) + $2 where state || '' = $3 and "runner_id" = $4 and ("request_id" = $5 and "attempt" = $6) returning "request_id", "cancel_requested";

-- append logs
select "seq" from "requests" where "request_id" = $1 and "attempt" = $2 and state || '' = $3;

-- complete
with "ended" as (update "requests" set "state" = $1, "completed_at" = cast($2 as bigint), "expires_at" = cast($3 as bigint) + case store_io when 1 then cast($4 as bigint) else cast($5 as bigint) end, "lease_until" = $6, "run_deadline" = $7, "status" = $8, "headers" = $9, "error_message" = $10, "error_type" = $11, "inference_seconds" = $12 where "request_id" = $13 and state || '' = $14 and "attempt" = $15 returning "request_id", "endpoint_id", "webhook_url", "account", "webhook_host"), "result" as (select $16::text as "body"), "stored" as (update "payloads" set "output" = "result"."body" from "ended", "result" where "payloads"."request_id" = "ended"."request_id"), "webhook" as (insert into "webhook_deliveries" ("request_id", "url", "account", "host", "payload", "state", "next_attempt_at", "created_at") select "ended"."request_id", "ended"."webhook_url", "ended"."account", coalesce(ended.webhook_host, '') as "host", $17::text || result.body || $18::text as "payload", 'pending' as "state", cast($19 as bigint) as "next_attempt_at", cast($20 as bigint) as "created_at" from "ended", "result" where "ended"."webhook_url" is not null) select * from "ended";

-- status
select * from "requests" where "request_id" = $1 and "kind" in ($2);

-- position
select "endpoint_id", "priority", "turn", "seq" from "requests" where "request_id" = $1 and state || '' = $2;

-- result
select * from "requests" where "request_id" = $1 and "kind" in ($2);

