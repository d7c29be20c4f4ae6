// Package ecssim simulates Amazon ECS, SQS, Kinesis, STS, the alarms of CloudWatch and the event buses of EventBridge
// behind one HTTP handler, to test ECS schedulers.
//
// It speaks the wire protocols of the AWS SDKs: AWS JSON 1.1 for ECS, Kinesis and EventBridge, 1.0 for SQS, AWS query
// for STS, and Smithy RPC v2 CBOR for CloudWatch. It keeps clusters, container instances, task definitions and tasks
// with ECS's life cycle, versions, limits and errors. It sends an EventBridge event for every change to an SQS queue
// and optionally to a Kinesis stream. It injects faults on request and counts calls. README.md shows how to use it from
// a shell.
package ecssim

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/blox/blox/internal/arn"
)

// Config holds all settings. The zero value is usable: names have defaults, and a delay of 0 means none.
type Config struct {
	Region    string // of every ARN; "us-east-1" when empty
	Account   string // of every ARN, twelve digits; "123456789012" when empty
	Partition string // of every ARN; "aws" when empty
	// ShortARNs selects the ARN format from before 2021 for tasks and container instances: …:task/<uuid>, without the
	// cluster name.
	ShortARNs bool
	// QueueName is the queue that receives the events; New creates it. "blox_queue" when empty.
	QueueName string
	// StreamName is a Kinesis stream that receives the events too; New creates it with StreamShards shards. The
	// partition key of an event is the ARN of its task or container instance. No stream when empty.
	StreamName   string
	StreamShards int // 1 when 0
	// IteratorLife is the lifetime of a shard iterator; 5m when 0.
	IteratorLife time.Duration
	// PendingDelay is the time between a task's start and RUNNING, StopDelay between its stop and STOPPED. The statuses
	// between share them.
	PendingDelay, StopDelay time.Duration
	// HealthDelay is the time between RUNNING and the first result of container health checks.
	HealthDelay time.Duration
	// ServiceDelay is the time between a change of a cluster and what the service scheduler does about it; 20ms when 0.
	ServiceDelay time.Duration
	// LostHostDelay is the time between the failure of a host and when its tasks are STOPPED; 25m when 0.
	LostHostDelay time.Duration
	// EventDelay is the time between a change and the arrival of its event in the queue.
	EventDelay time.Duration
	// RetryAge and Retries limit how long and how often EventBridge retries to deliver an event; 24h and 185 when 0, and
	// no retries when Retries is negative. RetryBackoff is the first wait between retries; 1s when 0.
	RetryAge     time.Duration
	Retries      int
	RetryBackoff time.Duration
	// DeadLetterQueue is the queue for events that could not be delivered; New creates it. None when empty.
	DeadLetterQueue string
	// StoppedTaskRetention is how long Describe calls return STOPPED tasks and INACTIVE container instances; 1h when 0.
	StoppedTaskRetention time.Duration
	// Seed makes the random faults repeatable. Identifiers are always random: a restarted simulator must not reuse ARNs
	// that its clients know with higher versions.
	Seed uint64
	// Acknowledged is the least number of deleted events to remember, latest first; none when 0.
	Acknowledged int
	// Changes is the least number of changes of tasks and container instances to remember, latest first; none when 0.
	Changes int
	// APILimits throttles calls of ECS as its published token buckets do.
	APILimits bool
	// Faults are the initial faults; SetFaults changes them.
	Faults Faults
}

// Defaults returns settings for a laptop: visible delays and no faults.
func Defaults() Config {
	return Config{PendingDelay: 300 * time.Millisecond, StopDelay: 200 * time.Millisecond, HealthDelay: time.Second}.
		withDefaults()
}

func (c Config) withDefaults() Config {
	c.Region = cmp.Or(c.Region, "us-east-1")
	c.Account = cmp.Or(c.Account, "123456789012")
	c.Partition = cmp.Or(c.Partition, "aws")
	c.QueueName = cmp.Or(c.QueueName, "blox_queue")
	c.StreamShards = cmp.Or(c.StreamShards, 1)
	c.ServiceDelay = cmp.Or(c.ServiceDelay, 20*time.Millisecond)
	c.IteratorLife = cmp.Or(c.IteratorLife, 5*time.Minute)
	c.LostHostDelay = cmp.Or(c.LostHostDelay, 25*time.Minute)
	c.RetryAge = cmp.Or(c.RetryAge, maxRetryAge)
	c.Retries = cmp.Or(c.Retries, maxRetries)
	c.RetryBackoff = cmp.Or(c.RetryBackoff, retryBackoff)
	c.StoppedTaskRetention = cmp.Or(c.StoppedTaskRetention, time.Hour)
	return c
}

// Sim simulates the ECS, SQS, Kinesis and alarms of one account in one region. Its methods are safe for concurrent use.
type Sim struct {
	cfg     Config
	control http.Handler
	limits  apiLimits // nil without Config.APILimits
	queues  *queues   // has its own lock, so receiving does not wait for ECS
	streams *streams  // has its own lock
	events  *queue
	changes *recent[Change] // nil without Config.Changes
	// deadLetters is nil without Config.DeadLetterQueue.
	deadLetters *queue
	stream      *stream       // of the events; nil without Config.StreamName
	done        chan struct{} // closed by Close
	wg          sync.WaitGroup
	wake        chan struct{} // signals a new first timer

	mu               sync.Mutex // guards all below; use lock and unlock
	closed           bool
	timers           timerQueue
	deferred         []func() // run by unlock before it releases mu
	lastSeq          int64
	clusters         map[string]*cluster
	instances        map[string]*instance
	tasks            map[string]*task
	definitions      map[string][]*definition // by family; revision n is at n-1
	alarms           map[string]*alarm        // by name
	buses            map[string][]BusEvent    // by name
	roles            roles
	providers        []*capacityProvider
	faults           Faults
	draws            faultDraws
	flapsRun         int
	counters         counters
	runningInstances map[string]int  // by family: instances with a running task whose desired status is RUNNING
	duplicated       map[string]int  // by family: instances with two or more live tasks
	down             map[string]bool // by service
	heldEvents       []func()        // reordered events that wait for a later one
}

// New returns a simulator that is ready to serve, with the cluster "default" and the event queue. The caller must close
// it.
func New(cfg Config) *Sim {
	cfg = cfg.withDefaults()
	s := &Sim{
		cfg:              cfg,
		queues:           newQueues(cfg),
		streams:          newStreams(cfg),
		done:             make(chan struct{}),
		wake:             make(chan struct{}, 1),
		clusters:         map[string]*cluster{},
		instances:        map[string]*instance{},
		tasks:            map[string]*task{},
		definitions:      map[string][]*definition{},
		alarms:           map[string]*alarm{},
		buses:            map[string][]BusEvent{"default": {}},
		roles:            newRoles(),
		faults:           cfg.Faults.clone(),
		draws:            newFaultDraws(cfg.Seed),
		counters:         newCounters(),
		changes:          newRecent[Change](cfg.Changes),
		runningInstances: map[string]int{},
		duplicated:       map[string]int{},
		down:             map[string]bool{},
	}
	s.control = s.controlAPI()
	if cfg.APILimits {
		s.limits = newAPILimits()
	}
	s.events, _ = s.queues.create(cfg.QueueName, nil)
	if cfg.DeadLetterQueue != "" {
		s.deadLetters, _ = s.queues.create(cfg.DeadLetterQueue, nil)
	}
	s.events.acknowledged = newRecent[string](cfg.Acknowledged)
	if cfg.StreamName != "" {
		s.stream, _ = s.streams.create(cfg.StreamName, cfg.StreamShards)
	}
	s.addFargateProviders()
	s.CreateCluster("default")
	s.SetFaults(cfg.Faults)
	s.wg.Go(s.runTimers)
	return s
}

// Close stops the simulator: it drops pending changes and ends long polls and delayed responses. It returns when every
// goroutine of the simulator has ended; calls of ServeHTTP end soon after. Closing again has no effect.
func (s *Sim) Close() {
	s.lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.timers, s.deferred, s.heldEvents = nil, nil, nil
	s.unlock()
	s.queues.interrupt(true)
	s.wg.Wait()
}

// SetDown makes a service ("ecs", "sqs", "kinesis", "cloudwatch", "sts" or "eventbridge") answer 503 to every call,
// waiting long polls included, until down is false. Tasks keep running and events are still queued.
func (s *Sim) SetDown(service string, down bool) {
	s.lock()
	defer s.unlock()
	s.down[service] = down
	if service == serviceSQS && down {
		s.queues.interrupt(false)
	}
}

func (s *Sim) isDown(service string) bool {
	s.lock()
	defer s.unlock()
	return s.down[service]
}

func (s *Sim) lock() { s.mu.Lock() }

// unlock runs deferred functions and releases mu.
func (s *Sim) unlock() {
	s.deferUntilUnlock()
	s.mu.Unlock()
}

// now returns the time in UTC with AWS's millisecond precision.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// nextSeq returns the next creation number of a cluster, instance or task. Lists are sorted by it.
func (s *Sim) nextSeq() int64 {
	s.lastSeq++
	return s.lastSeq
}

// arn returns the ARN of a resource of the simulated account; cluster is "" if the ARN has none.
func (s *Sim) arn(kind arn.Kind, cluster, id string) string {
	if s.cfg.ShortARNs || kind == arn.Cluster || kind == arn.TaskDefinition {
		cluster = ""
	}
	return arn.ARN{
		Partition: s.cfg.Partition, Region: s.cfg.Region, Account: s.cfg.Account, Kind: kind, Cluster: cluster, ID: id,
	}.String()
}
