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

	"github.com/anishathalye/porcupine"
)

// probes are task records that this program itself writes to etcd, past every service, and reads through both replicas of
// cluster-state-service. They are of another account, so that nobody compares them with ECS.
type probes struct {
	*world
	*operations

	mu         sync.Mutex
	generation int
	unknowns   int // writes without an answer
	calls      int
	written    int
	newest     int64 // the highest version of etcd that anybody was told
}

const (
	probesAtATime = 3
	probeAccount  = ":999999999999:"
	probeCluster  = "probe"
)

// probeCall is an operation on the probes of a generation.
type probeCall struct {
	Do    string `json:"do"` // put, delete, get, list
	Probe int    `json:"probe"`
	Value string `json:"value,omitempty"`
}

// probeState is the value of each probe, "" of one that is not there.
type probeState [probesAtATime]string

// probeAnswer is what was read; of a get, in the place of its probe.
type probeAnswer struct {
	Done   bool       `json:"done"`
	Values probeState `json:"values"`
}

func newProbes(w *world) *probes { return &probes{world: w, operations: newOperations()} }

func probeARN(generation, n int) string {
	return fmt.Sprintf("arn:aws:ecs:us-east-1%stask/%s/%024d%08d", probeAccount, probeCluster, generation, n)
}

func probeRecord(arn, value string, version int) string {
	cluster := "arn:aws:ecs:us-east-1" + probeAccount + "cluster/" + probeCluster
	record, err := json.Marshal(map[string]any{
		"version": "0", "id": "probe", "detail-type": "ECS Task State Change", "source": "aws.ecs", "account": strings.Trim(probeAccount, ":"),
		"time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": []string{arn},
		"detail": map[string]any{
			"clusterArn": cluster, "containerInstanceArn": strings.Replace(cluster, "cluster/", "container-instance/", 1) + "/0123456789abcdef0123456789abcdef",
			"containers": []any{}, "createdAt": "2026-01-01T00:00:00.000Z", "desiredStatus": "RUNNING", "lastStatus": "RUNNING",
			"overrides": map[string]any{"containerOverrides": []any{}}, "startedBy": value, "taskArn": arn,
			"taskDefinitionArn": "arn:aws:ecs:us-east-1" + probeAccount + "task-definition/probe:1", "version": version,
		},
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(record)
}

// now is which probes are in use; after so many calls, or writes without an answer, there are new ones.
func (p *probes) current() (generation int, known int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls++; p.calls > 1000 || p.unknowns > 5 {
		p.generation, p.calls, p.unknowns = p.generation+1, 0, 0
	}
	return p.generation, p.newest
}

// told notes a version of etcd that somebody was told.
func (p *probes) told(version int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newest = max(p.newest, version)
}

// writer writes one of the probes until ctx ends.
func (p *probes) writer(ctx context.Context, n int, seed uint64) {
	chance := rand.New(rand.NewPCG(seed, uint64(200+n)))
	for sleep(ctx, between(chance, 20e6, 250e6)) {
		generation, _ := p.current()
		history, arn := fmt.Sprintf("probes-%d", generation), probeARN(generation, n)
		key := "ecs/task/" + probeCluster + "/" + arn
		c := probeCall{Do: "put", Probe: n}
		if chance.IntN(8) == 0 {
			c.Do = "delete"
		} else {
			p.mu.Lock()
			p.written++
			c.Value = strconv.Itoa(p.written)
			p.mu.Unlock()
		}
		called := p.now()
		short, cancel := context.WithTimeout(ctx, callTimeout)
		var version int64
		var err error
		if c.Do == "put" {
			answer, failed := p.etcd.Put(short, key, probeRecord(arn, c.Value, p.number(c.Value)))
			if err = failed; err == nil {
				version = answer.Header.Revision
			}
		} else {
			answer, failed := p.etcd.Delete(short, key)
			if err = failed; err == nil {
				version = answer.Header.Revision
			}
		}
		cancel()
		if err == nil {
			p.add(history, n, called, c, probeAnswer{Done: true})
			p.told(version)
		} else { // also for want of space: the write that meets the quota is refused, and done
			p.addUnknown(history, n, called, c, probeAnswer{})
			p.mu.Lock()
			p.unknowns++
			p.mu.Unlock()
		}
	}
}

func (*probes) number(value string) int {
	n, _ := strconv.Atoi(value)
	return n
}

// shownTask is a Task as far as it matters here, in a list or a stream.
type shownTask struct {
	Metadata struct {
		EntityVersion string
		Deleted       bool
	}
	Entity struct {
		TaskARN, ContainerInstanceARN, ClusterARN string
		StartedBy, LastStatus, Status             string
	}
	Error string
}

type shownTasks struct {
	Items    []shownTask
	Metadata struct{ EntityVersion string }
}

// reader reads until ctx ends.
func (p *probes) reader(ctx context.Context, n int, seed uint64) {
	chance := rand.New(rand.NewPCG(seed, uint64(300+n)))
	for sleep(ctx, between(chance, 5e6, 60e6)) {
		address := p.css[chance.IntN(len(p.css))]
		if chance.IntN(3) == 0 {
			p.list(ctx, n, address)
		} else {
			p.read(ctx, n, address, chance.IntN(probesAtATime))
		}
	}
}

func (p *probes) read(ctx context.Context, client int, address string, probe int) {
	generation, known := p.current()
	called := p.now()
	status, header, text, err := p.world.call(ctx, http.MethodGet, address, "/v1/tasks/"+probeCluster+"/"+probeARN(generation, probe), "")
	a := probeAnswer{Done: true}
	var task shownTask
	switch {
	case err != nil || status != http.StatusOK && status != http.StatusNotFound:
		p.refused(status, text, err)
		return
	case status == http.StatusOK:
		if err := json.Unmarshal(text, &task); err != nil {
			p.report.violated("answers are JSON", "GET a task: %s", err)
			return
		}
		a.Values[probe] = task.Entity.StartedBy
	}
	p.add(fmt.Sprintf("probes-%d", generation), 10+client, called, probeCall{Do: "get", Probe: probe}, a)
	if status == http.StatusOK {
		p.notBehind(header.Get("Blox-Entity-Version"), known, "a get")
	}
}

func (p *probes) list(ctx context.Context, client int, address string) {
	generation, known := p.current()
	called := p.now()
	status, text, err := p.world.get(ctx, address, "/v1/tasks?cluster="+probeCluster)
	if err != nil || status != http.StatusOK {
		p.refused(status, text, err)
		return
	}
	var list shownTasks
	if err := json.Unmarshal(text, &list); err != nil {
		p.report.violated("answers are JSON", "GET tasks: %s", err)
		return
	}
	a := probeAnswer{Done: true}
	for n := range a.Values {
		for _, task := range list.Items {
			if task.Entity.TaskARN == probeARN(generation, n) {
				a.Values[n] = task.Entity.StartedBy
			}
		}
	}
	p.add(fmt.Sprintf("probes-%d", generation), 10+client, called, probeCall{Do: "list"}, a)
	p.notBehind(list.Metadata.EntityVersion, known, "a list")
}

// refused notes a read without an answer: it must say why.
func (p *probes) refused(status int, text []byte, err error) {
	p.report.count(fmt.Sprintf("reads of cluster-state-service: %d", status), 1)
	if err == nil && status != http.StatusServiceUnavailable {
		p.report.violated("reads are answered", "%d: %s", status, text)
	}
}

// notBehind checks the version of an answer against what was known as the question was asked.
func (p *probes) notBehind(told string, known int64, what string) {
	version, err := strconv.ParseInt(told, 10, 64)
	if err != nil || version < known {
		p.report.violated("reads see what was written before", "%s is of version %q; %d was known when it was asked for", what, told, known)
	}
	p.told(version)
}

// probeModel is a register for each probe; a list reads all of them at once.
var probeModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{probeState{}} },
	Step: func(state, input, output any) []any {
		s, c, a := state.(probeState), input.(probeCall), output.(probeAnswer)
		switch c.Do {
		case "put", "delete":
			after := s
			after[c.Probe] = c.Value
			if a.Done {
				return []any{after}
			}
			return []any{s, after}
		case "get":
			if s[c.Probe] != a.Values[c.Probe] {
				return nil
			}
		default:
			if s != a.Values {
				return nil
			}
		}
		return []any{s}
	},
}
