package store

import (
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// FuzzKeys reads whatever may be stored under the prefixes: what is accepted is written under the same key.
func FuzzKeys(f *testing.F) {
	for _, seed := range [][2]string{
		{"logs/arn:aws:ecs:us-east-1:123456789012:container-instance/prod/1", `{"State":"open"}`}, {"blox.ready/arn:i1", `{"Cluster":"arn:c","State":"set"}`},
		{"a%2Fb/arn:i1", `{"Cluster":"arn:c"}`}, {"%zz/x", `{"Cluster":"c"}`}, {"", ""}, {"/", "{}"}, {"x", `null`}, {"a%41/b", `{"cluster":"c"}`},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, rest string, value []byte) {
		kv := func(prefix string) *mvccpb.KeyValue {
			return &mvccpb.KeyValue{Key: []byte(prefix + rest), Value: value, ModRevision: 7}
		}
		if e, err := decodeEnvironment(kv(environments)); err == nil && environmentKey(e.Name) != environments+rest {
			t.Errorf("environment %q is written under %q", rest, environmentKey(e.Name))
		}
		if l, err := decodeLaunch(kv(launches)); err == nil {
			name, instance, _ := launchOf(launches + rest)
			if launchKey(name, l.Instance) != launches+rest || instance != l.Instance || l.StoredVersion != 7 {
				t.Errorf("launch %q is written under %q", rest, launchKey(name, l.Instance))
			}
		}
		if m, err := decodeMark(kv(marks)); err == nil {
			if key, ok := markOf(markKey(m.Key())); !ok || key != m.Key() || m.StoredVersion != 7 {
				t.Errorf("readiness attribute %q is %+v, and read again %+v", rest, m.Key(), key)
			}
		}
	})
}
