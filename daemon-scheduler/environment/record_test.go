package environment

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func BenchmarkDecodeLaunch(b *testing.B) {
	data := []byte(
		`{"Deployment":"22222222-2222-4222-8222-222222222222",` +
			`"TaskDefinition":"arn:aws:ecs:us-east-1:123456789012:task-definition/agent:2","State":"started",` +
			`"NotAfter":"2026-01-02T03:04:05Z","Task":"arn:aws:ecs:us-east-1:123456789012:task/prod/1","Attempts":1,` +
			`"NextAttemptAt":"0001-01-01T00:00:00Z","Reason":"","Detail":""}`,
	)
	for b.Loop() {
		var l Launch
		if err := json.Unmarshal(data, &l); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzRecords decodes records of any version. They survive a rewrite with their unknown fields, and no
// transition panics.
func FuzzRecords(f *testing.F) {
	for _, seed := range []string{
		v03, `null`, `{}`, `{"deployments":{"x":null,"":{}},"Revisions":[{},{"Number":-1,"Later":{"a":[1e400]}}]}`,
		`{"Health":7,"Deployments":{"a":{"Status":9,"StartTime":"9999-12-31T23:59:59-12:00"}}}`,
		`{"Deployment":"d","State":"open","NotAfter":"2026-01-02T03:04:05Z","Later":"<\u2028>"}`,
		`{"Cluster":"c","State":"set","later":{"é":1,"é":2}}`,
		`{"Token":"` + token1 + `","Revisions":[{"Number":2,"Spec":{"TaskDefinition":"arn:td:1",` +
			`"DeploymentConfiguration":{"Canary":{"Percent":5}}}}],"InProgressDeploymentID":"` + first + `","Deployments":{` +
			`"` + first + `":{"Status":1,"Revision":2,"TaskDefinition":"arn:td:1","RolloutState":"IN_PROGRESS"},` +
			`"` + second + `":{"Status":2,"RolloutState":"COMPLETED"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var e Environment
		if survives(t, data, &e, &Environment{}) {
			keepsRules(t, e)
		}
		survives(t, data, &Deployment{}, &Deployment{})
		survives(t, data, &Launch{}, &Launch{})
		survives(t, data, &ReadinessAttribute{}, &ReadinessAttribute{})
	})
}

// survives decodes data into record, encodes it, decodes that into again, and reports whether data is a valid record.
func survives(t *testing.T, data []byte, record, again any) bool {
	t.Helper()
	if json.Unmarshal(data, record) != nil {
		return false
	}
	written, err := json.Marshal(record)
	if err != nil {
		t.Fatalf("failed to encode %T: %v: %q", record, err, data)
	}
	if err := json.Unmarshal(written, again); err != nil {
		t.Fatalf("failed to decode %T %s: %v", record, written, err)
	}
	twice, err := json.Marshal(again)
	if err != nil || !bytes.Equal(written, twice) {
		t.Fatalf("%T: encoded as %s, then as %s: %v", record, written, twice, err)
	}
	var before, after map[string]json.RawMessage
	if json.Unmarshal(data, &before) != nil || json.Unmarshal(written, &after) != nil {
		return true // it is null
	}
	fields := reflect.VisibleFields(reflect.TypeOf(record).Elem())
	for key, value := range before {
		known := slices.ContainsFunc(fields, func(field reflect.StructField) bool {
			return field.IsExported() && field.Tag.Get("json") != "-" && strings.EqualFold(field.Name, key)
		})
		if known {
			continue
		}
		var want, got any
		if json.Unmarshal(value, &want) == nil && (json.Unmarshal(after[key], &got) != nil || !reflect.DeepEqual(want, got)) {
			t.Fatalf("%T: %q was %s and is %s", record, key, value, after[key])
		}
	}
	return true
}

// keepsRules applies every method to e.
func keepsRules(t *testing.T, e Environment) {
	t.Helper()
	_, _ = e.Phase(), e.CurrentSpec()
	if n := len(e.KeptRevisions()); n < 1 {
		t.Fatal("no revision")
	}
	if len(e.History()) != len(e.Deployments) {
		t.Fatal("the history is incomplete")
	}
	_ = e.Health.String()
	for _, d := range e.History() {
		_, _, _, _ = d.Status.String(), d.Rollout(), e.RevisionFor(d), e.HasCanary(d)
	}
	const next = "99999999-9999-4999-8999-999999999999"
	inUse := func(string) bool { return false }
	changed := []Environment{
		e.TrimDeployments(1, inUse),
		e.TrimUnstarted(inUse),
		e.Delete(now),
		e.Fail(first, "x", next, allActive, now),
	}
	add := func(c Environment, err error) {
		if err == nil {
			changed = append(changed, c)
		}
	}
	add(e.Deploy(next, e.Token, now))
	add(e.Update(e.LatestRevision().Spec, e.Token, next, now))
	add(e.Rollback(next, now))
	add(e.Stop(first, StopRollback, next, now))
	add(e.Stop(first, StopAbort, next, now))
	add(e.Promote(first))
	add(e.Pause(now))
	add(e.Resume())
	for _, c := range changed {
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("failed to encode: %v: %+v", err, c)
		}
		var again Environment
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatalf("failed to decode: %v: %s", err, data)
		}
		if len(again.unknown) != len(e.unknown) {
			t.Fatalf("unknown fields are lost: %s", data)
		}
	}
}
