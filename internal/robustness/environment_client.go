package robustness

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	environmentClients = 4
	environmentSlots   = 3
	environmentCluster = "linearizable"
	environmentFamily  = "linearizable"
	finalReader        = 99 // client number of the reads after the last fault
	// After so many operations, or indeterminate ones, a new environment takes the place of the old one: the time to
	// check an object grows with both.
	maxOperations, maxIndeterminate = 200, 5
)

// environmentClient reads and writes environments without deployments at both replicas of daemon-scheduler. Its
// operations have to be linearizable. Every write has its own value, a tag in the task settings.
type environmentClient struct {
	*system
	*operations
	definition string // ARN of the task definition

	mu    sync.Mutex
	slots [environmentSlots]environmentSlot
	value int // of the latest write
}

// environmentSlot is the environment that is currently in use in a slot.
type environmentSlot struct {
	name          string
	token         string // latest one returned
	generation    int    // number of environments so far
	operations    int
	indeterminate int
}

func newEnvironmentClient(s *system) *environmentClient {
	return &environmentClient{system: s, operations: newOperations()}
}

// setUp creates the cluster and the task definition.
func (c *environmentClient) setUp(ctx context.Context) (err error) {
	if err := c.sim.post(ctx, "clusters", map[string][]string{"name": {environmentCluster}}); err != nil {
		return err
	}
	c.definition, err = c.sim.registerTaskDefinition(ctx, environmentFamily, false)
	for n := range c.slots {
		c.replace(n)
	}
	return err
}

// replace continues with a new environment. The old one stays as it is.
func (c *environmentClient) replace(slot int) {
	generation := c.slots[slot].generation + 1
	c.slots[slot] = environmentSlot{name: environmentName(slot, generation), generation: generation}
}

func environmentName(slot, generation int) string {
	return fmt.Sprintf("linearizable-%d-%d", slot, generation)
}

// run sends requests until ctx ends.
func (c *environmentClient) run(ctx context.Context, client int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, uint64(100+client)))
	for backoff.Sleep(ctx, time.Duration(random.IntN(60))*time.Millisecond) {
		address, slot := c.ds[random.IntN(len(c.ds))], random.IntN(len(c.slots))
		if random.IntN(8) == 0 {
			c.list(ctx, client, address)
			continue
		}
		name, op := c.nextOp(random, slot)
		c.send(ctx, client, slot, name, address, op)
	}
}

// nextOp draws an operation on the slot's environment.
func (c *environmentClient) nextOp(random *rand.Rand, slot int) (name string, op environmentOp) {
	c.mu.Lock()
	s := &c.slots[slot]
	s.operations++
	if s.operations > maxOperations || s.indeterminate > maxIndeterminate {
		c.replace(slot)
	}
	c.value++
	name, token, value := s.name, s.token, strconv.Itoa(c.value)
	c.mu.Unlock()
	switch draw := random.IntN(100); {
	case draw < 50:
		op.Kind = opGet
	case draw < 70 && token != "":
		op = environmentOp{Kind: opPatch, Value: value, Token: token}
	case draw < 70:
		op.Kind = opGet
	case draw < 75:
		op.Kind = opPause
	case draw < 80:
		op.Kind = opResume
	case draw < 93:
		op = environmentOp{Kind: opCreate, Value: value}
	case draw < 97:
		op.Kind = opDelete
	default:
		op.Kind = opDeleteTasks
	}
	return name, op
}

// send executes an operation and records it.
func (c *environmentClient) send(ctx context.Context, client, slot int, name, address string, op environmentOp) {
	method, path, body := op.request(name, c.definition)
	called := c.now()
	r, err := c.request(ctx, method, address, path, body)
	result := environmentResult{Status: r.status}
	if err == nil && r.status == http.StatusOK && op.Kind != opDelete && op.Kind != opDeleteTasks {
		var e environmentJSON
		if err = json.Unmarshal(r.body, &e); err != nil {
			c.history.violation("responses are valid JSON", "%s %s: %s", method, path, err)
		}
		result = e.result()
	}
	if err != nil || r.status >= 500 {
		c.history.count(fmt.Sprintf("environment requests without a result: %d", r.status), 1)
		if op.Kind != opGet { // a failed read says nothing
			c.indeterminate(name, client, called, op, environmentResult{})
			c.update(slot, name, func(s *environmentSlot) { s.indeterminate++ })
		}
		return
	}
	c.complete(name, client, called, op, result)
	if result.Token != "" {
		c.update(slot, name, func(s *environmentSlot) { s.token = result.Token })
	}
}

// update changes a slot if it still has the environment.
func (c *environmentClient) update(slot int, name string, change func(*environmentSlot)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[slot].name == name {
		change(&c.slots[slot])
	}
}

// list reads all environments with one request: a read of each of them, at the same time.
func (c *environmentClient) list(ctx context.Context, client int, address string) {
	c.mu.Lock()
	var names []string
	for _, slot := range c.slots {
		names = append(names, slot.name)
	}
	c.mu.Unlock()
	called := c.now()
	r, err := c.get(ctx, address, "/v1/environments?cluster="+environmentCluster)
	var list struct{ Items []environmentJSON }
	if err != nil || r.status != http.StatusOK || json.Unmarshal(r.body, &list) != nil {
		return
	}
	found := map[string]environmentResult{}
	for _, e := range list.Items {
		found[e.Name] = e.result()
	}
	for _, name := range names {
		result, ok := found[name]
		if !ok {
			result.Status = http.StatusNotFound
		}
		c.complete(name, client, called, environmentOp{Kind: opGet}, result)
	}
}

// readAll reads every environment at each replica: acknowledged writes have to be there at the end, too.
func (c *environmentClient) readAll(ctx context.Context) {
	for slot := range c.slots {
		for generation := 1; generation <= c.slots[slot].generation; generation++ {
			for _, address := range c.ds {
				c.send(ctx, finalReader, slot, environmentName(slot, generation), address, environmentOp{Kind: opGet})
			}
		}
	}
}

// randomSlot returns a copy of one of the slots.
func (c *environmentClient) randomSlot(random *rand.Rand) environmentSlot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slots[random.IntN(len(c.slots))]
}
