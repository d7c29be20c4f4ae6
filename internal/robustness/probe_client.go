package robustness

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/blox/blox/internal/backoff"
)

const (
	probeReaders = 4
	probeCount   = 3 // probes of a generation; each has one writer
	// Probes belong to an account of their own, so that no reconciliation compares them with ECS.
	probeAccount = ":999999999999:"
	probeCluster = "probe"
	// After so many operations, or indeterminate ones, a new generation begins.
	maxProbeOperations, maxProbeIndeterminate = 1000, 5
)

// probeClient writes task records, the probes, to etcd itself and reads them at both replicas of
// cluster-state-service. Its operations have to be linearizable.
type probeClient struct {
	*system
	*operations

	mu                 sync.Mutex
	generation         int
	operationCount     int // of the generation
	indeterminateCount int // of the generation
	value              int // of the latest write
	newest             int64
}

// probeOp is an operation on the probes of a generation.
type probeOp struct {
	Kind  string `json:"kind"` // put, delete, get, list
	Probe int    `json:"probe"`
	Value string `json:"value,omitempty"`
}

// probeState holds the value of each probe, "" for one that does not exist.
type probeState [probeCount]string

// probeResult holds what a list returned, or a get at the index of its probe.
type probeResult struct {
	Done   bool       `json:"done"` // false if indeterminate
	Values probeState `json:"values"`
}

func newProbeClient(s *system) *probeClient {
	return &probeClient{system: s, operations: newOperations()}
}

func probeClusterARN() string {
	return "arn:aws:ecs:us-east-1" + probeAccount + "cluster/" + probeCluster
}

func probeARN(generation, n int) string {
	return fmt.Sprintf("arn:aws:ecs:us-east-1%stask/%s/%024d%08d", probeAccount, probeCluster, generation, n)
}

// probeRecord returns the record of a probe, whose startedBy holds the value.
func probeRecord(arn, value string, version int) string {
	instance := strings.Replace(probeClusterARN(), "cluster/", "container-instance/", 1) +
		"/0123456789abcdef0123456789abcdef"
	record, err := json.Marshal(map[string]any{
		"version": "0", "id": "probe", "detail-type": "ECS Task State Change", "source": "aws.ecs",
		"account": strings.Trim(probeAccount, ":"), "time": "2026-01-01T00:00:00Z", "region": home.region,
		"resources": []string{arn},
		"detail": map[string]any{
			"clusterArn": probeClusterARN(), "containerInstanceArn": instance, "containers": []any{},
			"createdAt": "2026-01-01T00:00:00.000Z", "desiredStatus": "RUNNING", "lastStatus": "RUNNING",
			"overrides": map[string]any{"containerOverrides": []any{}}, "startedBy": value, "taskArn": arn,
			"taskDefinitionArn": "arn:aws:ecs:us-east-1" + probeAccount + "task-definition/probe:1", "version": version,
		},
	})
	if err != nil {
		panic(err) // the record consists of strings and numbers
	}
	return string(record)
}

func probeObject(generation int) string { return fmt.Sprintf("probes-%d", generation) }

// current returns the generation in use, and the newest etcd revision that any operation has returned so far.
func (p *probeClient) current() (generation int, newest int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.operationCount++
	if p.operationCount > maxProbeOperations || p.indeterminateCount > maxProbeIndeterminate {
		p.generation++
		p.operationCount = 0
		p.indeterminateCount = 0
	}
	return p.generation, p.newest
}

// observe records an etcd revision that an operation returned.
func (p *probeClient) observe(revision int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newest = max(p.newest, revision)
}

// write writes probe n of the current generation until ctx ends.
func (p *probeClient) write(ctx context.Context, n int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, uint64(200+n)))
	for backoff.Sleep(ctx, between(random, 20*time.Millisecond, 250*time.Millisecond)) {
		generation, _ := p.current()
		op := probeOp{Kind: "put", Probe: n}
		if random.IntN(8) == 0 {
			op.Kind = "delete"
		} else {
			op.Value = p.nextValue()
		}
		called := p.now()
		revision, err := p.writeOnce(ctx, probeARN(generation, n), op)
		if err == nil {
			p.complete(probeObject(generation), n, called, op, probeResult{Done: true})
			p.observe(revision)
			continue
		}
		// Also if etcd is out of space: the write that reaches the quota is refused, but takes effect.
		p.indeterminate(probeObject(generation), n, called, op, probeResult{})
		p.mu.Lock()
		p.indeterminateCount++
		p.mu.Unlock()
	}
}

func (p *probeClient) nextValue() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value++
	return strconv.Itoa(p.value)
}

func (p *probeClient) writeOnce(ctx context.Context, arn string, op probeOp) (revision int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	key := taskPrefix + probeCluster + "/" + arn
	if op.Kind == "delete" {
		response, err := p.etcd.Delete(ctx, key)
		if err != nil {
			return 0, err
		}
		return response.Header.Revision, nil
	}
	version, err := strconv.Atoi(op.Value)
	if err != nil {
		return 0, err
	}
	response, err := p.etcd.Put(ctx, key, probeRecord(arn, op.Value, version))
	if err != nil {
		return 0, err
	}
	return response.Header.Revision, nil
}

// read reads the probes of the current generation until ctx ends.
func (p *probeClient) read(ctx context.Context, client int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, uint64(300+client)))
	for backoff.Sleep(ctx, between(random, 5*time.Millisecond, 60*time.Millisecond)) {
		address := p.css[random.IntN(len(p.css))]
		if random.IntN(3) == 0 {
			p.listProbes(ctx, probeCount+client, address)
		} else {
			p.getProbe(ctx, probeCount+client, address, random.IntN(probeCount))
		}
	}
}

func (p *probeClient) getProbe(ctx context.Context, client int, address string, probe int) {
	generation, newest := p.current()
	called := p.now()
	r, err := p.get(ctx, address, "/v1/tasks/"+probeCluster+"/"+probeARN(generation, probe))
	result := probeResult{Done: true}
	switch {
	case err != nil || r.status != http.StatusOK && r.status != http.StatusNotFound:
		p.checkRejected(r, err)
		return
	case r.status == http.StatusOK:
		var task recordJSON
		if err := json.Unmarshal(r.body, &task); err != nil {
			p.history.violation("responses are valid JSON", "GET of a task: %s", err)
			return
		}
		result.Values[probe] = task.Entity.StartedBy
	}
	p.complete(probeObject(generation), client, called, probeOp{Kind: "get", Probe: probe}, result)
	if r.status == http.StatusOK {
		p.checkNotStale(r.header.Get("Blox-Entity-Version"), newest, "a get")
	}
}

func (p *probeClient) listProbes(ctx context.Context, client int, address string) {
	generation, newest := p.current()
	called := p.now()
	r, err := p.get(ctx, address, "/v1/tasks?cluster="+probeCluster)
	if err != nil || r.status != http.StatusOK {
		p.checkRejected(r, err)
		return
	}
	var list listJSON
	if err := json.Unmarshal(r.body, &list); err != nil {
		p.history.violation("responses are valid JSON", "GET of tasks: %s", err)
		return
	}
	result := probeResult{Done: true}
	for n := range result.Values {
		for _, task := range list.Items {
			if task.Entity.TaskARN == probeARN(generation, n) {
				result.Values[n] = task.Entity.StartedBy
			}
		}
	}
	p.complete(probeObject(generation), client, called, probeOp{Kind: "list"}, result)
	p.checkNotStale(list.Metadata.EntityVersion, newest, "a list")
}

// checkRejected checks that a read without a result was rejected with 503, or got no response at all.
func (p *probeClient) checkRejected(r response, err error) {
	p.history.count(fmt.Sprintf("reads of cluster-state-service: %d", r.status), 1)
	if err == nil && r.status != http.StatusServiceUnavailable {
		p.history.violation("a read succeeds or returns 503", "%d: %s", r.status, r.body)
	}
}

// checkNotStale checks that a response's revision is not older than the newest one known before the request.
func (p *probeClient) checkNotStale(returned string, newest int64, what string) {
	revision, err := strconv.ParseInt(returned, 10, 64)
	if err != nil || revision < newest {
		p.history.violation("a read sees every earlier write", "%s has version %q; %d was known before it",
			what, returned, newest)
	}
	p.observe(revision)
}

// probeModel has a register for each probe; a list reads all of them at once.
var probeModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{probeState{}} },
	Step: func(state, input, output any) []any {
		s, op, result := state.(probeState), input.(probeOp), output.(probeResult)
		switch op.Kind {
		case "put", "delete":
			after := s
			after[op.Probe] = op.Value
			if result.Done {
				return []any{after}
			}
			return []any{s, after}
		case "get":
			if s[op.Probe] != result.Values[op.Probe] {
				return nil
			}
		default:
			if s != result.Values {
				return nil
			}
		}
		return []any{s}
	},
}
