package robustness

import (
	"fmt"
	"net/http"

	"github.com/anishathalye/porcupine"
)

// Kinds of operations on an environment.
const (
	opCreate      = "create"
	opPatch       = "patch"
	opPause       = "pause"
	opResume      = "resume"
	opDelete      = "delete"
	opDeleteTasks = "deleteTasks" // with stopTasks=true
	opGet         = "get"
)

// environmentOp is an operation on an environment.
type environmentOp struct {
	Kind  string `json:"kind"`
	Value string `json:"value,omitempty"` // written
	Token string `json:"token,omitempty"` // given
}

// environmentResult is the response to an operation.
type environmentResult struct {
	Status int    `json:"status"` // 0 if indeterminate
	Token  string `json:"token,omitempty"`
	Value  string `json:"value,omitempty"`
	Paused bool   `json:"paused,omitempty"`
	Phase  string `json:"phase,omitempty"`
}

func (op environmentOp) request(name, definition string) (method, path, body string) {
	path = "/v1/environments/" + name
	settings := fmt.Sprintf(`"taskSettings":{"tags":[{"key":"written","value":%q}]}`, op.Value)
	switch op.Kind {
	case opCreate:
		body = fmt.Sprintf(`{"name":%q,"instanceGroup":{"cluster":%q},"taskDefinition":%q,%s}`,
			name, environmentCluster, definition, settings)
		return http.MethodPost, "/v1/environments", body
	case opPatch:
		return http.MethodPatch, path + "?deploymentToken=" + op.Token, "{" + settings + "}"
	case opPause, opResume:
		return http.MethodPost, path + "/" + op.Kind, ""
	case opDelete:
		return http.MethodDelete, path, ""
	case opDeleteTasks:
		return http.MethodDelete, path + stopTasksQuery, ""
	}
	return http.MethodGet, path, ""
}

func (e environmentJSON) result() environmentResult {
	r := environmentResult{Status: http.StatusOK, Token: e.DeploymentToken, Paused: e.Paused, Phase: e.Status}
	if len(e.TaskSettings.Tags) == 1 {
		r.Value = e.TaskSettings.Tags[0].Value
	}
	return r
}

// environmentState is the state of an environment in the model.
type environmentState struct {
	exists, deleting, paused bool
	value                    string
	token                    string // "" if no response has contained it yet
}

// environmentModel is what the API promises about an environment.
var environmentModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{environmentState{}} },
	Step: func(state, input, output any) []any {
		var next []any
		for _, s := range state.(environmentState).step(input.(environmentOp), output.(environmentResult)) {
			next = append(next, s)
		}
		return next
	},
}

// step returns the possible states after the operation with that result; none if the result is impossible.
func (s environmentState) step(op environmentOp, r environmentResult) (next []environmentState) {
	possible := []environmentState{s}
	if s.deleting { // the deletion completes at any time
		possible = append(possible, environmentState{})
	}
	for _, before := range possible {
		if r.Status == 0 {
			next = append(next, before, before.apply(op))
			continue
		}
		if after, ok := before.applyWithResult(op, r); ok {
			next = append(next, after)
		}
	}
	return next
}

// apply returns the state after an operation that took effect. An operation that is not possible changes nothing.
func (s environmentState) apply(op environmentOp) environmentState {
	mutable := s.exists && !s.deleting
	switch {
	case op.Kind == opCreate && !s.exists:
		return environmentState{exists: true, value: op.Value}
	case op.Kind == opPatch && mutable && s.accepts(op.Token):
		s.value, s.token = op.Value, ""
	case op.Kind == opPause && mutable:
		s.paused = true
	case op.Kind == opResume && mutable:
		s.paused = false
	case op.Kind == opDelete && mutable:
		return environmentState{}
	case op.Kind == opDeleteTasks && mutable:
		s.deleting = true
		s.paused = false
	}
	return s
}

// accepts reports whether the token may be the environment's.
func (s environmentState) accepts(token string) bool { return s.token == "" || s.token == token }

// applyWithResult returns the state after an operation with that result, and whether the result is possible.
func (s environmentState) applyWithResult(op environmentOp, r environmentResult) (environmentState, bool) {
	mutable := s.exists && !s.deleting
	ok := r.Status == http.StatusOK
	notFound := r.Status == http.StatusNotFound && !s.exists
	conflict := r.Status == http.StatusConflict
	switch op.Kind {
	case opCreate:
		if !ok {
			return s, r.Status == http.StatusBadRequest && s.exists
		}
		return s.apply(op).observe(r, !s.exists)
	case opPatch:
		if !ok {
			return s, notFound || conflict && s.exists && (s.deleting || s.token != op.Token)
		}
		return s.apply(op).observe(r, mutable && s.accepts(op.Token))
	case opPause, opResume:
		if !ok {
			return s, notFound || conflict && s.deleting
		}
		return s.apply(op).observe(r, mutable)
	case opDelete, opDeleteTasks:
		return s.apply(op), ok
	}
	if !ok {
		return s, notFound
	}
	return s.observe(r, s.exists)
}

// observe returns the state with the result's token, and whether the result shows this state.
func (s environmentState) observe(r environmentResult, possible bool) (environmentState, bool) {
	same := r.Value == s.value && r.Paused == s.paused && (r.Phase == "deleting") == s.deleting && s.accepts(r.Token)
	if !possible || !same {
		return s, false
	}
	s.token = r.Token
	return s, true
}
