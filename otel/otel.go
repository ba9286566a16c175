// Package otel observes a provider with OpenTelemetry: a span for each request
// to an endpoint, and metrics of requests, outcomes, durations and events.
//
//	o, err := otel.New(nil, nil)
//	cfg.Observe, cfg.OnEvent = o.Observe, o.OnEvent
//
// Attributes take few values: names of endpoints, error codes, HTTP statuses and
// kinds of events. IDs of clients and users, addresses and secrets are in none.
//
//	oauth.server.requests  counter    oauth.endpoint, oauth.outcome, http.response.status_code
//	oauth.server.duration  histogram  oauth.endpoint, oauth.outcome; in seconds
//	oauth.server.events    counter    oauth.event
package otel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-e797c9ce/oauth"
)

const scope = "github.com/seed-e797c9ce/oauth/otel"

// bounds of the histogram, in seconds: from an answer out of memory to a client
// secret's hash under load.
var bounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Observer observes providers. It is safe for concurrent use, and does not hold
// anything that needs closing.
type Observer struct {
	tracer   trace.Tracer
	requests metric.Int64Counter
	duration metric.Float64Histogram
	events   metric.Int64Counter
}

// New makes an Observer. Nil: the global providers, as they are set later on
// too. The error is the metric provider's.
func New(traces trace.TracerProvider, metrics metric.MeterProvider) (*Observer, error) {
	if traces == nil {
		traces = otel.GetTracerProvider()
	}
	if metrics == nil {
		metrics = otel.GetMeterProvider()
	}
	o := &Observer{tracer: traces.Tracer(scope)}
	meter := metrics.Meter(scope)
	var errs [3]error
	o.requests, errs[0] = meter.Int64Counter("oauth.server.requests", metric.WithUnit("{request}"),
		metric.WithDescription("Requests to endpoints of the authorization server, by outcome."))
	o.duration, errs[1] = meter.Float64Histogram("oauth.server.duration", metric.WithUnit("s"),
		metric.WithDescription("How long the endpoints took to answer."), metric.WithExplicitBucketBoundaries(bounds...))
	o.events, errs[2] = meter.Int64Counter("oauth.server.events", metric.WithUnit("{event}"),
		metric.WithDescription("What happened at the authorization server, by kind."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return o, nil
}

// Observe is for oauth.Config.Observe. The span is a child of the one in the
// request's context, if there is one; only an outage makes it an error.
func (o *Observer) Observe(ctx context.Context, endpoint string) (context.Context, func(outcome string, status int)) {
	start := time.Now()
	name := attribute.String("oauth.endpoint", endpoint)
	ctx, span := o.tracer.Start(ctx, "oauth "+endpoint, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(name))
	return ctx, func(outcome string, status int) {
		result := attribute.String("oauth.outcome", outcome)
		code := attribute.Int("http.response.status_code", status)
		span.SetAttributes(result, code)
		if status >= 500 || outcome == string(oauth.ErrTemporarilyUnavailable) || outcome == string(oauth.ErrServerError) {
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
		o.requests.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(name, result, code)))
		o.duration.Record(ctx, time.Since(start).Seconds(), metric.WithAttributeSet(attribute.NewSet(name, result)))
	}
}

// OnEvent is for oauth.Config.OnEvent, or is called by the app's own: it counts
// the event, and adds it to the request's span.
func (o *Observer) OnEvent(ctx context.Context, e oauth.Event) {
	kind := attribute.String("oauth.event", string(e.Kind))
	o.events.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(kind)))
	trace.SpanFromContext(ctx).AddEvent("oauth." + string(e.Kind))
}
