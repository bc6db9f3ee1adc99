package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/klog/v2"
)

// tracingConfiguration is the file of --tracing-config-file, in kube-apiserver's form.
type tracingConfiguration struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Endpoint is where the collector takes OTLP over gRPC, without TLS; localhost:4317 when it is not given.
	Endpoint *string `json:"endpoint"`
	// SamplingRatePerMillion is how many of a million requests are traced whose client says nothing.
	SamplingRatePerMillion *int32 `json:"samplingRatePerMillion"`
}

const million = 1_000_000

func readTracingConfiguration(file string) (*tracingConfiguration, error) {
	says, err := readConfigFile(file)
	if err != nil {
		return nil, err
	}
	switch says.APIVersion {
	case "apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1":
	default:
		return nil, fmt.Errorf("reading %s: apiVersion %q is unknown: write apiserver.config.k8s.io/v1", file, says.APIVersion)
	}
	if says.Kind != "TracingConfiguration" {
		return nil, fmt.Errorf("reading %s: kind is %q, not TracingConfiguration", file, says.Kind)
	}
	var c tracingConfiguration
	if err := says.decodeStrict(&c); err != nil {
		return nil, err
	}
	if c.Endpoint != nil {
		if _, _, err := net.SplitHostPort(*c.Endpoint); err != nil {
			return nil, fmt.Errorf("reading %s: endpoint must be host:port: %w", file, err)
		}
	}
	if rate := c.SamplingRatePerMillion; rate != nil && (*rate < 0 || *rate > million) {
		return nil, fmt.Errorf("reading %s: samplingRatePerMillion must be from 0 to %d, not %d", file, million, *rate)
	}
	return &c, nil
}

// sampler follows a trace that has begun elsewhere, and begins some itself.
func (c *tracingConfiguration) sampler() sdktrace.Sampler {
	begin := sdktrace.NeverSample()
	if rate := c.SamplingRatePerMillion; rate != nil && *rate > 0 {
		begin = sdktrace.TraceIDRatioBased(float64(*rate) / million)
	}
	return sdktrace.ParentBased(begin)
}

// tracing sends spans to a collector.
type tracing struct{ provider *sdktrace.TracerProvider }

// newTracing connects to the collector when there is something to send. Without a file there is no tracing.
func newTracing(ctx context.Context, file, instance string) (*tracing, error) {
	if file == "" {
		return nil, nil
	}
	c, err := readTracingConfiguration(file)
	if err != nil {
		return nil, fmt.Errorf("--tracing-config-file: %w", err)
	}
	options := []otlptracegrpc.Option{otlptracegrpc.WithInsecure()}
	if c.Endpoint != nil {
		options = append(options, otlptracegrpc.WithEndpoint(*c.Endpoint))
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("--tracing-config-file: preparing to send traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { klog.Background().Error(err, "Sending spans") }))
	about := resource.NewSchemaless(attribute.String("service.name", "apiserver"), attribute.String("service.version", gitVersion()),
		attribute.String("service.instance.id", instance))
	return &tracing{sdktrace.NewTracerProvider(sdktrace.WithSampler(c.sampler()), sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))}, nil
}

// tracer is nil when there is no tracing.
func (t *tracing) tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer("portico")
}

// lastSpans bounds how long the end waits for a collector.
const lastSpans = 5 * time.Second

// close sends what has not been sent.
func (t *tracing) close() error {
	if t == nil {
		return nil
	}
	// The context that the server ran in has ended.
	ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Sending the last spans") // no reason to say that the server has failed
	}
	return nil
}
