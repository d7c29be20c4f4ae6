package store

import (
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// FuzzKeys decodes any record under the prefixes: an accepted record has the key under which it would be written.
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
		e, err := DecodeEnvironment(kv(EnvironmentPrefix))
		if err == nil && EnvironmentKey(e.Name) != EnvironmentPrefix+rest {
			t.Errorf("environment %q is written under %q", rest, EnvironmentKey(e.Name))
		}
		if l, err := DecodeLaunch(kv(LaunchPrefix)); err == nil {
			name, instance, _ := ParseLaunchKey(LaunchPrefix + rest)
			if LaunchKey(name, l.Instance) != LaunchPrefix+rest || instance != l.Instance || l.StoredVersion != 7 {
				t.Errorf("launch %q is written under %q", rest, LaunchKey(name, l.Instance))
			}
		}
		if a, err := DecodeAttribute(kv(AttributePrefix)); err == nil {
			if key, ok := ParseAttributeKey(AttributeKey(a.Key())); !ok || key != a.Key() || a.StoredVersion != 7 {
				t.Errorf("readiness attribute %q is %+v, and read again %+v", rest, a.Key(), key)
			}
		}
	})
}
