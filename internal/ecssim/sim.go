// Package ecssim simulates Amazon ECS, SQS and Kinesis behind one HTTP handler, to test ECS schedulers.
//
// It speaks the wire protocols of the AWS SDKs (AWS JSON 1.1 for ECS and Kinesis, 1.0 for SQS), keeps clusters, container instances,
// task definitions and tasks with ECS's life cycle, versions, limits and errors, and puts an EventBridge event for every
// change into an SQS queue and optionally a Kinesis stream. It injects faults on request and counts calls. The README
// beside this file shows its use from a shell.
package ecssim

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/blox/blox/internal/arn"
)

// Config holds all settings. The zero value is usable: names have defaults, and delays of 0 mean "at once".
type Config struct {
	Region    string // of every ARN; "us-east-1" when empty
	Account   string // of every ARN, twelve digits; "123456789012" when empty
	Partition string // of every ARN; "aws" when empty
	// ShortARNs gives tasks and container instances the ARNs from before 2021, …:task/<uuid>, without the cluster's name.
	ShortARNs bool
	// QueueName is the queue that receives the events; it exists from the start. "blox_queue" when empty.
	QueueName string
	// StreamName is a Kinesis stream that receives the events as well as the queue, each under the ARN of its task or container
	// instance as partition key; it exists from the start, with StreamShards shards. No stream when empty.
	StreamName   string
	StreamShards int // 1 when 0
	// IteratorLife is how long a shard iterator can be used; 5m when 0.
	IteratorLife time.Duration
	// PendingDelay passes between a task's start and RUNNING, StopDelay between its stop and STOPPED.
	PendingDelay, StopDelay time.Duration
	// EventDelay passes between a change and its event's arrival in the queue.
	EventDelay time.Duration
	// StoppedTaskRetention is how long STOPPED tasks and INACTIVE container instances can be described; 1h when 0.
	StoppedTaskRetention time.Duration
	// Seed makes the draws of the faults repeat from run to run. Identifiers are always new, as a
	// restarted simulator must not hand out the ARNs, with lower versions, that its users remember.
	Seed uint64
	// Acknowledged is how many of the latest deleted events are remembered, at least; none when 0.
	Acknowledged int
	// Faults are those at the start; SetFaults changes them.
	Faults Faults
}

// Defaults returns settings for a laptop: visible delays and no faults.
func Defaults() Config {
	return Config{PendingDelay: 300 * time.Millisecond, StopDelay: 200 * time.Millisecond}.withDefaults()
}

func (c Config) withDefaults() Config {
	c.Region = cmp.Or(c.Region, "us-east-1")
	c.Account = cmp.Or(c.Account, "123456789012")
	c.Partition = cmp.Or(c.Partition, "aws")
	c.QueueName = cmp.Or(c.QueueName, "blox_queue")
	c.StreamShards = cmp.Or(c.StreamShards, 1)
	c.IteratorLife = cmp.Or(c.IteratorLife, 5*time.Minute)
	c.StoppedTaskRetention = cmp.Or(c.StoppedTaskRetention, time.Hour)
	return c
}

// Sim is one account's ECS, SQS and Kinesis in one region. Its methods may be called from any goroutine.
type Sim struct {
	cfg     Config
	control http.Handler
	queues  *queues  // have locks of their own, so that receiving does not wait for ECS
	streams *streams // the same
	events  *queue
	stream  *stream       // of the events; nil when none is wanted
	done    chan struct{} // closed by Close
	wg      sync.WaitGroup
	wake    chan struct{} // signals a new first timer

	mu          sync.Mutex // guards all below; taken by lock, given back by unlock
	closed      bool
	timers      timerQueue
	deferred    []func() // run by unlock before it releases mu
	lastSeq     int64
	clusters    map[string]*cluster
	instances   map[string]*instance
	tasks       map[string]*task
	definitions map[string][]*definition // by family; revision n is at n-1
	faults      Faults
	dice        faultDraws
	counters    counters
	running     map[string]int  // by family: instances on which a task of it runs and is to go on
	doubled     map[string]int  // by family: instances with two live tasks of it or more
	down        map[string]bool // by service
	held        []func()        // events that wait to be overtaken
}

// New returns a simulator with the cluster "default" and the event queue. It is ready to serve, and has to be closed.
func New(cfg Config) *Sim {
	cfg = cfg.withDefaults()
	s := &Sim{
		cfg:         cfg,
		queues:      newQueues(cfg),
		streams:     newStreams(cfg),
		done:        make(chan struct{}),
		wake:        make(chan struct{}, 1),
		clusters:    map[string]*cluster{},
		instances:   map[string]*instance{},
		tasks:       map[string]*task{},
		definitions: map[string][]*definition{},
		faults:      cfg.Faults.clone(),
		dice:        newFaultDraws(cfg.Seed),
		counters:    newCounters(),
		running:     map[string]int{},
		doubled:     map[string]int{},
		down:        map[string]bool{},
	}
	s.control = s.controlAPI()
	s.events, _ = s.queues.create(cfg.QueueName, nil)
	if cfg.Acknowledged > 0 {
		s.events.acknowledged = &acknowledgements{most: cfg.Acknowledged}
	}
	if cfg.StreamName != "" {
		s.stream, _ = s.streams.create(cfg.StreamName, cfg.StreamShards)
	}
	s.CreateCluster("default")
	s.wg.Go(s.runTimers)
	return s
}

// Close ends the simulator: pending changes never happen, long polls and delayed answers end. It returns once every
// goroutine of the simulator has ended; calls of ServeHTTP end soon after. Closing again does nothing.
func (s *Sim) Close() {
	s.lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.timers, s.deferred, s.held = nil, nil, nil
	s.unlock()
	s.queues.interrupt(true)
	s.wg.Wait()
}

// SetDown lets a service, "ecs", "sqs" or "kinesis", answer 503 to every call until it is set up again. Long polls that wait
// end with 503 too. Tasks live on and events are queued meanwhile.
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

// now is the simulator's clock: UTC with AWS's millisecond precision.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// seq numbers clusters, instances and tasks in the order of their creation, which is the order of lists.
func (s *Sim) seq() int64 {
	s.lastSeq++
	return s.lastSeq
}

// arn is the ARN of a resource of the simulated account; cluster is "" where the ARN has none.
func (s *Sim) arn(kind arn.Kind, cluster, id string) string {
	if s.cfg.ShortARNs || kind == arn.Cluster || kind == arn.TaskDefinition {
		cluster = ""
	}
	return arn.ARN{Partition: s.cfg.Partition, Region: s.cfg.Region, Account: s.cfg.Account, Kind: kind, Cluster: cluster, ID: id}.String()
}
