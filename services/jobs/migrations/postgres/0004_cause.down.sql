alter table jobs drop column tracestate;
alter table jobs drop column traceparent;
