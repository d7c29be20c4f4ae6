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
)

// registers are environments that nobody deploys: each is a register with a token, which many clients write and read at both
// replicas of daemon-scheduler. Every write has a value of its own, a tag of the task settings.
type registers struct {
	*world
	*operations
	definition string

	mu      sync.Mutex
	slots   [3]register
	written int
}

// register is an environment as its clients know it.
type register struct {
	name     string
	token    string // the last that a client saw
	made     int    // environments in this slot
	calls    int
	unknowns int // writes without an answer, which make the proof dear
}

const registerCluster = "registers"

// call is an operation on a register.
type call struct {
	Do    string `json:"do"` // create, patch, pause, resume, delete, deleteTasks, get
	Value string `json:"value,omitempty"`
	Token string `json:"token,omitempty"` // given
}

// answer is what came of it.
type answer struct {
	Status int    `json:"status"` // 0 when nobody knows
	Token  string `json:"token,omitempty"`
	Value  string `json:"value,omitempty"`
	Paused bool   `json:"paused,omitempty"`
	Phase  string `json:"phase,omitempty"`
}

// environmentState is what a register is.
type environmentState struct {
	exists, deleting, paused bool
	value                    string
	token                    string // "" when it is not known, as nobody has been told
}

func newRegisters(w *world) *registers { return &registers{world: w, operations: newOperations()} }

func (r *registers) begin(ctx context.Context) (err error) {
	if err := r.sim.post(ctx, "clusters", map[string][]string{"name": {registerCluster}}); err != nil {
		return err
	}
	r.definition, err = r.sim.definition(ctx, "register")
	for n := range r.slots {
		r.renew(n)
	}
	return err
}

// renew goes on with another environment, so that no history is too long for its proof. The old one stays as it is.
func (r *registers) renew(slot int) {
	made := r.slots[slot].made + 1
	r.slots[slot] = register{name: fmt.Sprintf("register-%d-%d", slot, made), made: made}
}

// client calls until ctx ends.
func (r *registers) client(ctx context.Context, n int, seed uint64) {
	chance := rand.New(rand.NewPCG(seed, uint64(100+n)))
	for sleep(ctx, time.Duration(chance.IntN(60))*time.Millisecond) {
		address, slot := r.ds[chance.IntN(len(r.ds))], chance.IntN(len(r.slots))
		if chance.IntN(8) == 0 {
			r.list(ctx, n, address)
			continue
		}
		r.mu.Lock()
		at := &r.slots[slot]
		if at.calls++; at.calls > 200 || at.unknowns > 5 {
			r.renew(slot)
		}
		r.written++
		c := call{Value: strconv.Itoa(r.written), Token: at.token}
		name := at.name
		r.mu.Unlock()
		switch draw := chance.IntN(100); {
		case draw < 50:
			c = call{Do: "get"}
		case draw < 70:
			c.Do = "patch"
		case draw < 75:
			c = call{Do: "pause"}
		case draw < 80:
			c = call{Do: "resume"}
		case draw < 93:
			c = call{Do: "create", Value: c.Value}
		case draw < 97:
			c = call{Do: "delete"}
		default:
			c = call{Do: "deleteTasks"}
		}
		if c.Do == "patch" && c.Token == "" {
			c = call{Do: "get"}
		}
		r.do(ctx, n, slot, name, address, c)
	}
}

// do calls, and adds the call to the history of its environment.
func (r *registers) do(ctx context.Context, client, slot int, name, address string, c call) answer {
	method, path, body := c.request(name, r.definition)
	called := r.now()
	status, _, text, err := r.world.call(ctx, method, address, path, body)
	a := answer{Status: status}
	if err == nil && status == http.StatusOK && len(strings.TrimSpace(string(text))) > 0 {
		a, err = shown(text)
	}
	if err != nil || status >= 500 {
		if c.Do != "get" { // a read that failed says nothing
			r.addUnknown(name, client, called, c, answer{})
			r.mu.Lock()
			if r.slots[slot].name == name {
				r.slots[slot].unknowns++
			}
			r.mu.Unlock()
		}
		r.report.count(fmt.Sprintf("registers: %d", status), 1)
		return answer{}
	}
	r.add(name, client, called, c, a)
	if a.Token != "" {
		r.mu.Lock()
		if r.slots[slot].name == name {
			r.slots[slot].token = a.Token
		}
		r.mu.Unlock()
	}
	return a
}

func (c call) request(name, definition string) (method, path, body string) {
	path = "/v1/environments/" + name
	settings := fmt.Sprintf(`"taskSettings":{"tags":[{"key":"written","value":%q}]}`, c.Value)
	switch c.Do {
	case "create":
		return http.MethodPost, "/v1/environments", fmt.Sprintf(`{"name":%q,"instanceGroup":{"cluster":%q},"taskDefinition":%q,%s}`, name, registerCluster, definition, settings)
	case "patch":
		return http.MethodPatch, path + "?deploymentToken=" + c.Token, "{" + settings + "}"
	case "pause", "resume":
		return http.MethodPost, path + "/" + c.Do, ""
	case "delete":
		return http.MethodDelete, path, ""
	case "deleteTasks":
		return http.MethodDelete, path + "?stopTasks=true", ""
	}
	return http.MethodGet, path, ""
}

// shownEnvironment is an Environment, as far as it matters here.
type shownEnvironment struct {
	Name, DeploymentToken, Status string
	Paused                        bool
	TaskSettings                  struct{ Tags []struct{ Value string } }
}

func (e shownEnvironment) answer() answer {
	a := answer{Status: http.StatusOK, Token: e.DeploymentToken, Paused: e.Paused, Phase: e.Status}
	if len(e.TaskSettings.Tags) == 1 {
		a.Value = e.TaskSettings.Tags[0].Value
	}
	return a
}

func shown(text []byte) (answer, error) {
	var e shownEnvironment
	err := json.Unmarshal(text, &e)
	return e.answer(), err
}

// list reads all environments at once: a read of each register, at the same time.
func (r *registers) list(ctx context.Context, client int, address string) {
	r.mu.Lock()
	var names []string
	for _, slot := range r.slots {
		names = append(names, slot.name)
	}
	r.mu.Unlock()
	called := r.now()
	status, text, err := r.world.get(ctx, address, "/v1/environments?cluster="+registerCluster)
	var list struct{ Items []shownEnvironment }
	if err != nil || status != http.StatusOK || json.Unmarshal(text, &list) != nil {
		return
	}
	found := map[string]answer{}
	for _, e := range list.Items {
		found[e.Name] = e.answer()
	}
	for _, name := range names {
		a, ok := found[name]
		if !ok {
			a = answer{Status: http.StatusNotFound}
		}
		r.add(name, client, called, call{Do: "get"}, a)
	}
}

// finish reads every register that ever was, at each replica: what was acknowledged has to be there in the end too.
func (r *registers) finish(ctx context.Context) {
	for slot := range r.slots {
		for made := 1; made <= r.slots[slot].made; made++ {
			for _, address := range r.ds {
				r.do(ctx, 99, slot, fmt.Sprintf("register-%d-%d", slot, made), address, call{Do: "get"})
			}
		}
	}
}

// registerModel is what the API promises of an environment.
var registerModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{environmentState{}} },
	Step: func(state, input, output any) []any {
		var next []any
		for _, s := range state.(environmentState).step(input.(call), output.(answer)) {
			next = append(next, s)
		}
		return next
	},
}

// step is what the state may be after the call, given its answer: none when there could not have been that answer.
func (s environmentState) step(c call, a answer) (next []environmentState) {
	gone := s
	if s.deleting { // it goes at a time of its own
		gone = environmentState{}
	}
	for _, before := range dedupe(s, gone) {
		if a.Status == 0 {
			next = append(next, before, before.done(c))
			continue
		}
		if after, ok := before.answered(c, a); ok {
			next = append(next, after)
		}
	}
	return next
}

func dedupe(a, b environmentState) []environmentState {
	if a == b {
		return []environmentState{a}
	}
	return []environmentState{a, b}
}

// done is the state after the call, if it was done; what cannot be done changes nothing.
func (s environmentState) done(c call) environmentState {
	there := s.exists && !s.deleting
	switch {
	case c.Do == "create" && !s.exists:
		return environmentState{exists: true, value: c.Value}
	case c.Do == "patch" && there && (s.token == "" || s.token == c.Token):
		s.value, s.token = c.Value, ""
	case c.Do == "pause" && there:
		s.paused = true
	case c.Do == "resume" && there:
		s.paused = false
	case c.Do == "delete" && there:
		return environmentState{}
	case c.Do == "deleteTasks" && there:
		s.deleting, s.paused = true, false
	}
	return s
}

// answered is the state after a call that was answered so, and whether it could have been.
func (s environmentState) answered(c call, a answer) (environmentState, bool) {
	there := s.exists && !s.deleting
	ok := a.Status == http.StatusOK
	switch c.Do {
	case "create":
		if !ok {
			return s, a.Status == http.StatusBadRequest && s.exists
		}
		after := s.done(c)
		return after.told(a, !s.exists)
	case "patch":
		if !ok {
			return s, a.Status == http.StatusNotFound && !s.exists || a.Status == http.StatusConflict && s.exists && (s.deleting || s.token != c.Token)
		}
		return s.done(c).told(a, there && (s.token == "" || s.token == c.Token))
	case "pause", "resume":
		if !ok {
			return s, a.Status == http.StatusNotFound && !s.exists || a.Status == http.StatusConflict && s.deleting
		}
		return s.done(c).told(a, there)
	case "delete", "deleteTasks":
		return s.done(c), ok
	}
	if !ok {
		return s, a.Status == http.StatusNotFound && !s.exists
	}
	return s.told(a, s.exists)
}

// told is s with the token that the answer tells, if the answer shows s and may.
func (s environmentState) told(a answer, may bool) (environmentState, bool) {
	if !may || a.Value != s.value || a.Paused != s.paused || (a.Phase == "deleting") != s.deleting || s.token != "" && s.token != a.Token {
		return s, false
	}
	s.token = a.Token
	return s, true
}
