package source

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/cluster-state-service/ingest/kinesis"
	"github.com/blox/blox/cluster-state-service/reconcile"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ratelimit"
)

const (
	roleSessionName = "blox-cluster-state-service"
	// firstPart is the part of ECS's token buckets that the first reconciliation uses at first.
	firstPart = .8
	// periodicBurst is the number of calls at once of a periodic reconciliation: those of one small cluster.
	periodicBurst = 5
)

// source is an account and region that the service serves.
type source struct {
	Spec
	label        string // Spec.Name
	awaited      bool   // lists wait for its first reconciliation
	aws          aws.Config
	reconciler   *reconcile.Reconciler
	connectivity *ingest.Connectivity // nil without a queue
	log          logrus.FieldLogger

	metrics *prometheus.Registry // of this source
	stop    func()               // ends the source's components and waits for them
}

// newSource makes no call.
func newSource(cfg Config, spec Spec, awaited bool) (*source, error) {
	s := &source{
		Spec: spec, label: spec.Name(), awaited: awaited,
		log: cfg.Log, metrics: prometheus.NewRegistry(), stop: func() {},
	}
	if cfg.Several {
		s.log = cfg.Log.WithField("source", spec.Name())
	}
	client, err := s.newClient(cfg)
	if err != nil {
		return nil, err
	}
	role := spec.role()
	reconciler := reconcile.Config{
		ECS: client, RegionName: spec.Region, Partition: role.Partition, Account: role.Account,
		Store: cfg.Store, WaitCurrent: cfg.Cache.WaitCurrent, Name: cfg.Replica,
		Interval: cfg.ReconcileInterval, StoppedTaskRetention: cfg.StoppedTaskRetention, Log: s.log, Metrics: s.metrics,
		Periodic: ratelimit.New(ratelimit.Bucket{Burst: periodicBurst, Rate: cfg.ReconcileRate}, 1),
	}
	if cfg.Several {
		reconciler.STS = awsconfig.STS(cfg.AWS)
	}
	s.reconciler = reconcile.New(reconciler)
	if spec.Queue != "" {
		s.connectivity = ingest.NewConnectivity(s.metrics)
	}
	return s, nil
}

// newClient returns a client of ECS with an API budget, and sets the configuration of the source's other clients.
func (s *source) newClient(cfg Config) (*ecs.Client, error) {
	prefixed := prometheus.WrapRegistererWithPrefix("blox_css_", s.metrics)
	s.aws = cfg.AWS.Copy()
	if s.Role != "" {
		s.aws = awsconfig.WithRole(s.aws,
			awsconfig.Role{ARN: s.Role, ExternalID: s.ExternalID, SessionName: roleSessionName})
	}
	s.aws.Region = s.Region
	s.aws = awsconfig.WithMetrics(s.aws, prefixed)
	client, err := awsconfig.ECS(s.aws, cfg.Getenv)
	if err != nil {
		return nil, err
	}
	limiter := func(burst, rate float64) *ratelimit.Limiter {
		return ratelimit.New(ratelimit.Bucket{Burst: burst, Rate: rate}, firstPart)
	}
	limits := ratelimit.ECS{
		ClusterReads:  limiter(ratelimit.ClusterReads.Burst, cfg.LookupRate),
		ResourceReads: limiter(ratelimit.ResourceReads.Burst, cfg.ReadRate),
	}
	prefixed.MustRegister(limits)
	return ecs.New(client.Options(), limits.Option), nil
}

// state returns the account and region of the source.
func (s *source) state() state.Source {
	return state.Source{Region: s.reconciler.Region(), Label: s.label, Awaited: s.awaited}
}

// covers reports whether the source may be that of a cluster. The reconciler decides if the account is not known yet.
func (s *source) covers(cluster arn.ARN) (covers, known bool) {
	region := s.reconciler.Region()
	return region.Name == cluster.Region && (region.Account == cluster.Account || region.Account == ""),
		region.Account != ""
}

// run reconciles and consumes events until ctx ends.
func (s *source) run(ctx context.Context, cfg Config, writer *ingest.Writer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.reconciler.Run(ctx) })
	if s.Queue != "" {
		consumer, err := s.newConsumer(cfg, writer)
		if err != nil {
			return err
		}
		group.Go(func() error {
			if cfg.Cache.WaitLoaded(ctx) != nil { // before, every entity would be unknown to ingest
				return nil
			}
			return consumer.Run(ctx)
		})
	}
	return group.Wait()
}

// newConsumer returns the consumer of the source's SQS queue or Kinesis stream.
func (s *source) newConsumer(
	cfg Config, writer *ingest.Writer,
) (consumer interface{ Run(context.Context) error }, err error) {
	address, err := ingest.ParseAddress(s.Queue)
	if err != nil {
		return nil, err
	}
	client := s.aws
	client.Region = cmp.Or(address.Region, s.Region)
	if address.Service == ingest.ServiceKinesis {
		return kinesis.NewConsumer(kinesis.Config{
			Client: awsconfig.Kinesis(client), Address: address, Group: s.group(cfg, address), Member: cfg.Replica,
			Store: cfg.Store, Writer: writer, Log: s.log, Connectivity: s.connectivity,
		}), nil
	}
	return ingest.NewConsumer(ingest.ConsumerConfig{
		Queue: ingest.NewSQS(awsconfig.SQS(client), address), Writer: writer, Pollers: cfg.Pollers,
		Connectivity: s.connectivity, Log: s.log,
	}), nil
}

// group returns the name of the group of replicas that reads a stream. A stream of the service's own account and region
// keeps its own name, by which --queue has stored checkpoints.
func (s *source) group(cfg Config, address ingest.Address) string {
	if s.Role == "" && s.Region == cfg.AWS.Region {
		return address.Name
	}
	return strings.ReplaceAll(s.Name(), "/", ":") + ":" + address.Name
}
