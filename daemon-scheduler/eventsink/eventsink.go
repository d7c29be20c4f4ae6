package eventsink

import (
	"context"
	"flag"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/awsconfig"
)

// Options are the settings of the sinks.
type Options struct {
	EventBus string  // --event-bus: name or ARN of an event bus of EventBridge; empty for none
	Webhook  Webhook // --event-webhook, --event-webhook-secret-file
}

// Flags defines the flags.
func (o *Options) Flags(flags *flag.FlagSet) {
	flags.StringVar(&o.EventBus, "event-bus", "",
		"`name` or ARN of an event bus of EventBridge that receives all events; without it, none")
	flags.StringVar(&o.Webhook.URL, "event-webhook", "", "`URL` that receives a POST request for each event")
	flags.StringVar(&o.Webhook.SecretFile, "event-webhook-secret-file", "",
		"`file` with the secret that signs the requests of --event-webhook; Blox reads it again for each request")
}

// Validate returns the problems of the settings.
func (o *Options) Validate() (problems []string) {
	if o.EventBus != "" {
		if err := validateEventBus(o.EventBus); err != nil {
			problems = append(problems, "--event-bus "+err.Error())
		}
	}
	if err := o.Webhook.validate(); err != nil {
		problems = append(problems, err.Error())
	}
	return problems
}

// Config holds the sinks' settings and dependencies.
type Config struct {
	Options
	AWS aws.Config

	Events  *events.Store
	Store   *store.Store
	Encode  func(environment.Event) []byte
	Log     logrus.FieldLogger
	Metrics prometheus.Registerer
}

// Sinks sends events to all receivers.
type Sinks struct{ deliveries []*delivery }

// CheckRegion returns an error if the event bus is in another region than the service. PutEvents does not reach it.
func (o *Options) CheckRegion(region string) error {
	if match := busARNPattern.FindStringSubmatch(o.EventBus); match != nil && match[1] != region {
		return fmt.Errorf("--event-bus %s: the event bus must be in the region %s", o.EventBus, region)
	}
	return nil
}

// New returns the sinks of the settings, which may be none.
func New(cfg Config) *Sinks {
	s := &Sinks{}
	var sinks []sink
	if cfg.EventBus != "" {
		sinks = append(sinks, &eventBus{client: awsconfig.EventBridge(cfg.AWS), bus: cfg.EventBus})
	}
	if cfg.Webhook.URL != "" {
		sinks = append(sinks, newWebhook(cfg.Webhook))
	}
	m := newMetrics(cfg.Metrics)
	for _, of := range sinks {
		d := newDelivery(of, cfg, m)
		s.deliveries = append(s.deliveries, d)
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(s)
	}
	return s
}

// Run sends events to each receiver, independently of the others, until ctx ends.
func (s *Sinks) Run(ctx context.Context, term store.Term) {
	var running sync.WaitGroup
	for _, d := range s.deliveries {
		running.Go(func() { d.run(ctx, term) })
	}
	running.Wait()
}

// Outcomes of sending an event.
const (
	outcomeDelivered = "delivered"
	outcomeFailed    = "failed" // it is sent again
	outcomeRejected  = "rejected"
	outcomeLost      = "lost"
)

type metrics struct {
	deliveries *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	return &metrics{promauto.With(registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "blox_ds_event_deliveries_total",
		Help: "Events sent to a sink by outcome: delivered, failed (sent again), rejected (dropped), or lost " +
			"(removed before they were sent; counted once for several).",
	}, []string{"sink", "outcome"})}
}

var lagDesc = prometheus.NewDesc("blox_ds_event_delivery_lag_seconds",
	"Age of the oldest event that is due to be sent to a sink; 0 if there is none. Only the leader reports it.",
	[]string{"sink"}, nil)

// Describe implements prometheus.Collector.
func (s *Sinks) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- lagDesc }

// Collect implements prometheus.Collector.
func (s *Sinks) Collect(collected chan<- prometheus.Metric) {
	for _, d := range s.deliveries {
		collected <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, d.lag(), d.sink.name())
	}
}
