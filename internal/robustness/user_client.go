package robustness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// slots are how many environments there are at a time that are deployed, changed, rolled back and deleted.
const slots = 5

// users have environments rolled out. Each slot does one thing after the other; what was acknowledged is remembered.
type users struct {
	*world
	slots [slots]chan step

	mu  sync.Mutex
	all []*daemon
}

// daemon is an environment that is rolled out, and what its user was told.
type daemon struct {
	name, cluster string // the name is the family of its task definitions too
	most          int    // live tasks of it on an instance at once
	created       bool   // acknowledged
	deployments   []string
	definitions   []string // acknowledged by a PATCH
	ended         string   // the query of a DELETE that was sent, "-" without one; "" when none was
	endedAt       time.Time
	endKnown      bool // the DELETE was acknowledged
}

func newUsers(w *world) *users {
	u := &users{world: w}
	for n := range u.slots {
		u.slots[n] = make(chan step, 1000)
	}
	return u
}

// next has a slot do something, when it is done with what it does.
func (u *users) next(s step) {
	var n int
	_, _ = fmt.Sscan(s.Target, &n)
	select {
	case u.slots[n] <- s:
	default: // it has enough to do
	}
}

// run does what a slot has to do until ctx ends.
func (u *users) run(ctx context.Context, n int) {
	var now *daemon
	for made := 0; ; {
		var s step
		select {
		case <-ctx.Done():
			return
		case s = <-u.slots[n]:
		}
		if now == nil || now.ended != "" {
			made++
			now = u.create(ctx, n, made, s)
			continue
		}
		u.act(ctx, now, s)
	}
}

// ask calls one of the replicas; an answer of 200 is an acknowledgement. It decodes that into into.
func (u *users) ask(ctx context.Context, pick float64, method, path, body string, into any) error {
	address := u.ds[int(pick*1e6)%len(u.ds)]
	status, _, text, err := u.call(ctx, method, address, path, body)
	u.report.note("user", map[string]any{"method": method, "path": path, "body": body, "status": status, "replica": address, "answer": string(text)})
	u.report.count(fmt.Sprintf("users: %d", status), 1)
	switch {
	case err != nil:
		return err
	case status != http.StatusOK:
		if status >= 500 && status != http.StatusServiceUnavailable {
			u.report.violated("requests are answered", "%s %s: %d: %s", method, path, status, text)
		}
		return fmt.Errorf("%d: %s", status, text)
	case into == nil:
		return nil
	}
	return json.Unmarshal(text, into)
}

type madeDeployment struct{ DeploymentToken, ID, TaskDefinition string }

func (u *users) create(ctx context.Context, slot, made int, s step) *daemon {
	d := &daemon{name: fmt.Sprintf("daemon-%d-%d", slot, made), cluster: fleetClusters[(slot+made)%len(fleetClusters)], most: 1}
	configuration := `{"minimumHealthyPercent":50}`
	if s.Pick < 0.4 {
		configuration, d.most = `{"minimumHealthyPercent":100,"maximumPercent":200}`, 2
	}
	u.mu.Lock()
	u.all = append(u.all, d)
	u.mu.Unlock()
	if _, err := u.sim.definition(ctx, d.name); err != nil {
		d.ended = "-"
		return d
	}
	var e madeDeployment
	err := u.ask(ctx, s.Pick, http.MethodPost, "/v1/environments", fmt.Sprintf(
		`{"name":%q,"instanceGroup":{"cluster":%q},"taskDefinition":%q,"deploymentConfiguration":%s}`, d.name, d.cluster, d.name, configuration), &e)
	if err != nil {
		return d
	}
	u.change(func() { d.created = true })
	u.deploy(ctx, d, s.Pick)
	return d
}

func (u *users) change(what func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	what()
}

// deploy deploys what the environment is now.
func (u *users) deploy(ctx context.Context, d *daemon, pick float64) {
	path := "/v1/environments/" + d.name
	var e, made madeDeployment
	if u.ask(ctx, pick, http.MethodGet, path, "", &e) != nil {
		return
	}
	u.deployment(d, u.ask(ctx, pick, http.MethodPost, path+"/deployments?deploymentToken="+e.DeploymentToken, "", &made), made)
}

// deployment remembers one that was acknowledged.
func (u *users) deployment(d *daemon, err error, made madeDeployment) {
	if err == nil {
		u.change(func() { d.deployments = append(d.deployments, made.ID) })
	}
}

// act does one of the things that users do.
func (u *users) act(ctx context.Context, d *daemon, s step) {
	path := "/v1/environments/" + d.name
	var e, made madeDeployment
	switch pick := s.Pick; {
	case pick < 0.35:
		definition, err := u.sim.definition(ctx, d.name)
		if err != nil || u.ask(ctx, pick, http.MethodGet, path, "", &e) != nil {
			return
		}
		if u.ask(ctx, pick, http.MethodPatch, path+"?deploymentToken="+e.DeploymentToken, fmt.Sprintf(`{"taskDefinition":%q}`, definition), &e) == nil {
			u.change(func() { d.definitions = append(d.definitions, definition) })
			u.deploy(ctx, d, pick)
		}
	case pick < 0.50:
		u.deployment(d, u.ask(ctx, pick, http.MethodPost, path+"/rollback", "", &made), made)
	case pick < 0.62:
		var list struct {
			Items []struct{ ID, RolloutState string }
		}
		if u.ask(ctx, pick, http.MethodGet, path+"/deployments", "", &list) != nil || len(list.Items) == 0 {
			return
		}
		kind := []string{"ROLLBACK", "ABORT"}[int(pick*1000)%2]
		_ = u.ask(ctx, pick, http.MethodPost, path+"/deployments/"+list.Items[0].ID+"/stop?type="+kind, "", nil)
	case pick < 0.68:
		_ = u.ask(ctx, pick, http.MethodPost, path+"/pause", "", nil)
	case pick < 0.80:
		_ = u.ask(ctx, pick, http.MethodPost, path+"/resume", "", nil)
	case pick < 0.90:
		u.deploy(ctx, d, pick)
	case pick < 0.96:
		u.end(ctx, d, pick, "?stopTasks=true")
	default:
		u.end(ctx, d, pick, "")
	}
}

func (u *users) end(ctx context.Context, d *daemon, pick float64, query string) {
	u.change(func() { d.ended = "-" + query })
	err := u.ask(ctx, pick, http.MethodDelete, "/v1/environments/"+d.name+query, "", nil)
	u.change(func() { d.endKnown, d.endedAt = err == nil, time.Now() })
}

// settle ends every pause, and deploys what nobody has.
func (u *users) settle(ctx context.Context) {
	for _, d := range u.daemons() {
		if d.ended != "" {
			u.settleEnd(ctx, d)
			continue
		}
		path := "/v1/environments/" + d.name
		err := u.await(ctx, time.Minute, "environment "+d.name, func() error {
			status, text, err := u.get(ctx, u.ds[0], path+"/deployments")
			if err != nil || status == http.StatusNotFound && !d.created {
				return err
			}
			var list struct{ Items []struct{ ID string } }
			if status != http.StatusOK {
				return fmt.Errorf("%d: %s", status, text)
			}
			if err := json.Unmarshal(text, &list); err != nil {
				return err
			}
			if err := u.ask(ctx, 0, http.MethodPost, path+"/resume", "", nil); err != nil {
				return err
			}
			if len(list.Items) == 0 {
				u.deploy(ctx, &d, 0)
				return errors.New("just deployed")
			}
			return nil
		})
		if err != nil {
			u.report.violated("every acknowledged write is there", "%s: %s", d.name, err)
		}
	}
}

// settleEnd deletes again what may or may not have been deleted.
func (u *users) settleEnd(ctx context.Context, ended daemon) {
	for _, d := range u.all {
		if d.name == ended.name && !d.endKnown {
			_ = u.await(ctx, time.Minute, "the end of environment "+d.name, func() error {
				u.end(ctx, d, 0, strings.TrimPrefix(ended.ended, "-"))
				if !d.endKnown {
					return errors.New("it was not acknowledged")
				}
				return nil
			})
		}
	}
}

// daemons is a copy of all that there ever were.
func (u *users) daemons() (all []daemon) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, d := range u.all {
		c := *d
		c.deployments, c.definitions = slices.Clone(d.deployments), slices.Clone(d.definitions)
		all = append(all, c)
	}
	return all
}
