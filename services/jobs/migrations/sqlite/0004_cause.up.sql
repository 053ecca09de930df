-- Where in a trace the job was made (W3C Trace Context), which its attempts are linked to.
alter table jobs add column traceparent text;
alter table jobs add column tracestate text;
