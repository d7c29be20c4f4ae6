package robustness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/blox/blox/internal/harness"
)

const (
	userSlots        = 5    // environments that users deploy, change, roll back and delete at the same time
	userBacklog      = 1000 // actions that may wait for a slot
	breakerThreshold = 2    // of environments with a circuit breaker
	stopTasksQuery   = "?stopTasks=true"
)

// userClient deploys environments. Each slot executes one action after the other, and remembers acknowledged changes.
type userClient struct {
	*system
	slots [userSlots]chan action

	mu           sync.Mutex
	environments []*userEnvironment
}

// userEnvironment is an environment, and what its user knows about it.
type userEnvironment struct {
	slot            int
	name            string   // also the family of its task definitions
	cluster         string   // ARN
	healthCheck     bool     // its task definitions have a container health check
	maxTasks        int      // live tasks on an instance at once
	minimumHealthy  int      // minimumHealthyPercent
	threshold       int      // failures that trip the circuit breaker; 0 if it is disabled
	created         bool     // acknowledged
	deployments     []string // acknowledged IDs
	taskDefinitions []string // acknowledged by a PATCH
	inactive        bool     // a task definition is INACTIVE
	deleteSent      bool     // a DELETE was sent, or the environment was abandoned
	stopTasks       bool     // of the DELETE
	deleted         bool     // the DELETE was acknowledged
	deletedAt       time.Time
}

func (e *userEnvironment) path() string { return "/v1/environments/" + e.name }

func newUserClient(s *system) *userClient {
	u := &userClient{system: s}
	for n := range u.slots {
		u.slots[n] = make(chan action, userBacklog)
	}
	return u
}

// enqueue gives the action to its slot. It drops the action if the slot's backlog is full.
func (u *userClient) enqueue(a action) {
	n, err := strconv.Atoi(a.Target)
	if err != nil {
		panic(err) // newScenario formats the number
	}
	select {
	case u.slots[n] <- a:
	default:
	}
}

// run executes the actions of a slot until ctx ends.
func (u *userClient) run(ctx context.Context, slot int) {
	var current *userEnvironment
	for generation := 0; ; {
		var a action
		select {
		case <-ctx.Done():
			return
		case a = <-u.slots[slot]:
		}
		if current == nil || current.deleteSent {
			generation++
			current = u.create(ctx, slot, generation, a)
			continue
		}
		u.change(ctx, current, a)
	}
}

// send sends a request to one of the replicas and decodes the response into result. Status 200 is an acknowledgement;
// every other response is an error.
func (u *userClient) send(ctx context.Context, pick float64, method, path, body string, result any) error {
	address := u.ds[int(pick*1e6)%len(u.ds)]
	r, err := u.request(ctx, method, address, path, body)
	u.history.event("user request", map[string]any{
		"method": method, "path": path, "body": body, "status": r.status, "replica": address, "response": string(r.body),
	})
	u.history.count(fmt.Sprintf("user requests: %d", r.status), 1)
	switch {
	case err != nil:
		return err
	case r.status != http.StatusOK:
		if isInternalError(r) {
			u.history.violation("a change never returns an internal error", "%s %s: %d: %s", method, path, r.status, r.body)
		}
		return fmt.Errorf("%d: %s", r.status, r.body)
	case result == nil:
		return nil
	}
	return json.Unmarshal(r.body, result)
}

// isInternalError reports whether a change returned an error that Blox should not return.
func isInternalError(r response) bool {
	return r.status >= 500 && r.status != http.StatusServiceUnavailable
}

func (u *userClient) create(ctx context.Context, slot, generation int, a action) *userEnvironment {
	clusters := clusterARNs(u.places)
	e := &userEnvironment{
		slot:        slot,
		name:        fmt.Sprintf("daemon-%d-%d", slot, generation),
		cluster:     clusters[(slot+generation)%len(clusters)],
		healthCheck: (slot+generation)%3 == 0,
		maxTasks:    1, minimumHealthy: 50,
	}
	if a.Pick < 0.4 {
		e.maxTasks, e.minimumHealthy = 2, 100
	}
	if int(a.Pick*100)%2 == 0 {
		e.threshold = breakerThreshold
	}
	u.mu.Lock()
	u.environments = append(u.environments, e)
	u.mu.Unlock()
	if _, err := u.registerTaskDefinition(ctx, e); err != nil {
		u.update(func() { e.deleteSent = true })
		return e
	}
	body := fmt.Sprintf(`{"name":%q,"instanceGroup":{"cluster":%q},"taskDefinition":%q,"role":%q,`+
		`"deploymentConfiguration":%s}`, e.name, e.cluster, e.name, roleOf(e.cluster), e.configuration())
	var created environmentResponse
	if err := u.send(ctx, a.Pick, http.MethodPost, "/v1/environments", body, &created); err != nil {
		return e
	}
	u.update(func() { e.created = true })
	u.deploy(ctx, e, a.Pick)
	return e
}

// registerTaskDefinition registers the environment's next task definition in the account and region of its cluster.
func (u *userClient) registerTaskDefinition(ctx context.Context, e *userEnvironment) (string, error) {
	at, _ := placeOf(e.cluster)
	return u.sim.in(at).registerTaskDefinition(ctx, e.name, e.healthCheck)
}

// configuration returns the environment's deploymentConfiguration.
func (e *userEnvironment) configuration() string {
	breaker := ""
	if e.threshold > 0 {
		breaker = fmt.Sprintf(`,"deploymentCircuitBreaker":{"enable":true,"rollback":true,"threshold":%d}`, e.threshold)
	}
	return fmt.Sprintf(`{"minimumHealthyPercent":%d,"maximumPercent":%d%s}`, e.minimumHealthy, e.maxTasks*100, breaker)
}

// update changes environments under the lock.
func (u *userClient) update(change func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change()
}

// deploy deploys the environment's latest revision.
func (u *userClient) deploy(ctx context.Context, e *userEnvironment, pick float64) {
	var shown environmentResponse
	if u.send(ctx, pick, http.MethodGet, e.path(), "", &shown) != nil {
		return
	}
	u.startDeployment(ctx, e, pick, "/deployments?deploymentToken="+shown.DeploymentToken)
}

// startDeployment sends a POST that creates a deployment, and remembers the deployment if it is acknowledged.
func (u *userClient) startDeployment(ctx context.Context, e *userEnvironment, pick float64, suffix string) {
	var created environmentResponse
	if u.send(ctx, pick, http.MethodPost, e.path()+suffix, "", &created) == nil {
		u.update(func() { e.deployments = append(e.deployments, created.ID) })
	}
}

// change executes one of the changes that users make.
func (u *userClient) change(ctx context.Context, e *userEnvironment, a action) {
	switch pick := a.Pick; {
	case pick < 0.03:
		u.deregister(ctx, e)
	case pick < 0.35:
		u.changeTaskDefinition(ctx, e, pick)
	case pick < 0.50:
		u.startDeployment(ctx, e, pick, "/rollback")
	case pick < 0.62:
		u.stopDeployment(ctx, e, pick)
	case pick < 0.68:
		_ = u.send(ctx, pick, http.MethodPost, e.path()+"/pause", "", nil)
	case pick < 0.80:
		_ = u.send(ctx, pick, http.MethodPost, e.path()+"/resume", "", nil)
	case pick < 0.90:
		u.deploy(ctx, e, pick)
	case pick < 0.96:
		u.delete(ctx, e, pick, true)
	default:
		u.delete(ctx, e, pick, false)
	}
}

func (u *userClient) changeTaskDefinition(ctx context.Context, e *userEnvironment, pick float64) {
	definition, err := u.registerTaskDefinition(ctx, e)
	if err != nil {
		return
	}
	var shown environmentResponse
	if u.send(ctx, pick, http.MethodGet, e.path(), "", &shown) != nil {
		return
	}
	path, body := e.path()+"?deploymentToken="+shown.DeploymentToken, fmt.Sprintf(`{"taskDefinition":%q}`, definition)
	if u.send(ctx, pick, http.MethodPatch, path, body, &shown) == nil {
		u.history.count("task definitions changed", 1)
		u.update(func() { e.taskDefinitions = append(e.taskDefinitions, definition) })
		u.deploy(ctx, e, pick)
	}
}

// deregister makes the latest task definition that a PATCH named INACTIVE. ECS starts no more tasks of it.
func (u *userClient) deregister(ctx context.Context, e *userEnvironment) {
	if n := len(e.taskDefinitions); n > 0 && u.operator.deregister(ctx, e.taskDefinitions[n-1]) == nil {
		u.update(func() { e.inactive = true })
	}
}

// stopDeployment stops the latest deployment.
func (u *userClient) stopDeployment(ctx context.Context, e *userEnvironment, pick float64) {
	var list deploymentsJSON
	if u.send(ctx, pick, http.MethodGet, e.path()+"/deployments", "", &list) != nil || len(list.Items) == 0 {
		return
	}
	kind := []string{"ROLLBACK", "ABORT"}[int(pick*1000)%2]
	_ = u.send(ctx, pick, http.MethodPost, e.path()+"/deployments/"+list.Items[0].ID+"/stop?type="+kind, "", nil)
}

func (u *userClient) delete(ctx context.Context, e *userEnvironment, pick float64, stopTasks bool) {
	path := e.path()
	if stopTasks {
		path += stopTasksQuery
	}
	u.update(func() {
		e.deleteSent = true
		e.stopTasks = stopTasks
	})
	err := u.send(ctx, pick, http.MethodDelete, path, "", nil)
	u.update(func() {
		e.deleted = err == nil
		e.deletedAt = time.Now()
	})
}

// finish completes every environment after the last fault: it is resumed and has a deployment, or is deleted.
func (u *userClient) finish(ctx context.Context) {
	for n, e := range u.snapshot() {
		if e.deleteSent {
			u.finishDeletion(ctx, u.environments[n])
			continue
		}
		err := harness.Await(ctx, time.Minute, "environment "+e.name, func() error {
			return u.finishDeployment(ctx, u.environments[n])
		})
		if err != nil {
			u.history.violation(promiseDurable, "%s: %s", e.name, err)
		}
	}
}

// finishDeployment resumes the environment, and deploys it if it has no deployment.
func (u *userClient) finishDeployment(ctx context.Context, e *userEnvironment) error {
	r, err := u.get(ctx, u.ds[0], e.path()+"/deployments")
	if err != nil || r.status == http.StatusNotFound && !e.created {
		return err
	}
	if r.status != http.StatusOK {
		return fmt.Errorf("%d: %s", r.status, r.body)
	}
	var list deploymentsJSON
	if err := json.Unmarshal(r.body, &list); err != nil {
		return err
	}
	if err := u.send(ctx, 0, http.MethodPost, e.path()+"/resume", "", nil); err != nil {
		return err
	}
	if e.inactive { // the tasks that run may be of this task definition
		u.changeTaskDefinition(ctx, e, 0)
		u.update(func() { e.inactive = false })
		return errors.New("updated just now")
	}
	switch {
	case len(list.Items) == 0:
		u.deploy(ctx, e, 0)
		return errors.New("deployed just now")
	case !list.hasFuture(): // a stopped deployment has used the token
		u.changeTaskDefinition(ctx, e, 0)
		return errors.New("updated just now")
	}
	return nil
}

// finishDeletion repeats a DELETE that was not acknowledged.
func (u *userClient) finishDeletion(ctx context.Context, e *userEnvironment) {
	if e.deleted {
		return
	}
	_ = harness.Await(ctx, time.Minute, "deletion of environment "+e.name, func() error {
		u.delete(ctx, e, 0, e.stopTasks)
		if !e.deleted {
			return errors.New("not acknowledged")
		}
		return nil
	})
}

// snapshot returns a copy of all environments so far, in the order of their creation.
func (u *userClient) snapshot() (all []userEnvironment) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, e := range u.environments {
		c := *e
		c.deployments = slices.Clone(e.deployments)
		c.taskDefinitions = slices.Clone(e.taskDefinitions)
		all = append(all, c)
	}
	return all
}
