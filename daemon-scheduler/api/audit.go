package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
)

// record records the event of a user's request, with the client that sent it.
func (h *handler) record(r *http.Request, event environment.Event) {
	event.LastSeenAt = time.Now()
	event.Actor = httpserver.Client(r)
	h.RecordEvent(event)
}

// recordRevision records that a user created or updated an environment.
func (h *handler) recordRevision(r *http.Request, before, after environment.Environment) {
	action := environment.EventEnvironmentUpdated
	if before.Name == "" {
		action = environment.EventEnvironmentCreated
	}
	h.record(r, environment.Event{
		Action: action, Environment: after.Name, Cluster: after.Cluster, TaskDefinition: after.DesiredTaskDefinition,
		Changes: specChanges(before, after),
	})
}

// stateChanges returns how a request changed the status of an environment, its current deployment, and the deployment
// with the id.
func stateChanges(before, after environment.Environment, id string) (changes []environment.FieldChange) {
	add := func(field, before, after string) {
		if before != after {
			changes = append(changes, environment.FieldChange{Field: field, Before: before, After: after})
		}
	}
	add("status", string(before.Phase()), string(after.Phase()))
	if d, ok := after.Current(); ok {
		previous, existed := before.Current()
		revision := ""
		if existed {
			revision = strconv.Itoa(previous.RevisionNumber())
		}
		add("revision", revision, strconv.Itoa(d.RevisionNumber()))
		add("taskDefinition", previous.TaskDefinition, d.TaskDefinition)
	}
	if d, existed := before.Deployments[id]; existed {
		add("rolloutState", string(d.Rollout()), string(after.Deployments[id].Rollout()))
	}
	return changes
}

// specChanges returns the settings in which two revisions differ, by the names of the API's fields.
func specChanges(before, after environment.Environment) (changes []environment.FieldChange) {
	old, changed := map[string]any{}, specFields(after)
	if before.Name != "" {
		old = specFields(before)
	}
	return fieldChanges("", old, changed)
}

// specFields returns the settings of the newest revision as decoded JSON.
func specFields(e environment.Environment) map[string]any {
	fields := map[string]any{}
	data, err := json.Marshal(editableSpec(e))
	if err == nil {
		err = json.Unmarshal(data, &fields)
	}
	if err != nil {
		panic(err) // a model encodes and decodes always
	}
	return fields
}

// fieldChanges compares two JSON objects. A change of an object is that of its fields.
func fieldChanges(prefix string, before, after map[string]any) (changes []environment.FieldChange) {
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, wasObject := before[name].(map[string]any)
		changed, isObject := after[name].(map[string]any)
		switch {
		case wasObject && isObject, wasObject && after[name] == nil, isObject && before[name] == nil:
			changes = append(changes, fieldChanges(prefix+name+".", old, changed)...)
		case !reflect.DeepEqual(before[name], after[name]):
			changes = append(changes, fieldChange(prefix+name, before[name], after[name]))
		}
	}
	return changes
}

// fieldChange returns the change of a field. Task settings may hold secrets, so their values are left out.
func fieldChange(field string, before, after any) environment.FieldChange {
	change := environment.FieldChange{Field: field}
	if !strings.HasPrefix(field, "taskSettings.") {
		change.Before, change.After = valueText(before), valueText(after)
	}
	return change
}

// valueText returns text as it is and other values in JSON; empty for none.
func valueText(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	}
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return string(data)
}
