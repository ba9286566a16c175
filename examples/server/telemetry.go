package main

import (
	"context"
	"errors"
	"os"

	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed-e797c9ce/oauth/otel"
)

// telemetry makes what the provider is observed with. The caller calls flush at
// the end. With another exporter, such as OTLP, the rest stays as it is.
func telemetry(to string) (o *otel.Observer, flush func(context.Context) error, err error) {
	if to == "" {
		return nil, func(context.Context) error { return nil }, nil
	}
	spans, err := stdouttrace.New(stdouttrace.WithWriter(os.Stderr))
	if err != nil {
		return nil, nil, err
	}
	points, err := stdoutmetric.New(stdoutmetric.WithWriter(os.Stderr))
	if err != nil {
		return nil, nil, err
	}
	traces := trace.NewTracerProvider(trace.WithBatcher(spans))
	metrics := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(points))) // once a minute
	flush = func(ctx context.Context) error { return errors.Join(traces.Shutdown(ctx), metrics.Shutdown(ctx)) }
	o, err = otel.New(traces, metrics)
	return o, flush, err
}
