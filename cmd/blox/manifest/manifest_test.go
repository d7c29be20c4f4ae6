package manifest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	value, err := decodeJSON([]byte(text))
	require.NoError(t, err)
	fields, is := value.(map[string]any)
	require.True(t, is)
	return fields
}

func write(t *testing.T, files map[string]string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return folder
}

func TestRead_FindsDocumentsOfFilesFoldersAndStdin(t *testing.T) {
	folder := write(t, map[string]string{
		"b.yaml":     "name: b1\n---\n---\nname: b2\ndrainOrder: 4\n---\n",
		"a.json":     `{"name": "a"}`,
		"list.yml":   "items:\n- {name: one}\n- {name: two}\n",
		"seq.yml":    "- {name: three}\n",
		"z.json":     "\t[{\"name\": \"four\"}]",
		"zflow.yml":  "{name: flow}",
		"README.md":  "name: no",
		"deep/d.yml": "name: deep",
		".git/x.yml": "name: hidden",
	})
	names := func(paths []string, recursive bool) string {
		documents, err := Read(paths, recursive, strings.NewReader("name: stdin"))
		require.NoError(t, err)
		var all []string
		for _, d := range documents {
			all = append(all, d.Name())
		}
		return strings.Join(all, " ")
	}
	assert.Equal(t, "a b1 b2 one two three four flow", names([]string{folder}, false))
	assert.Equal(t, "a b1 b2 deep one two three four flow", names([]string{folder}, true))
	assert.Equal(t, "stdin a", names([]string{"-", filepath.Join(folder, "a.json")}, false))
	documents, err := Read([]string{filepath.Join(folder, "b.yaml")}, false, nil)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(folder, "b.yaml")+", document 2", documents[1].Source)
	assert.Equal(t, json.Number("4"), documents[1].Fields["drainOrder"])
}

func TestRead_RejectsWhatIsNoDocument(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"text":             {"name", `stdin is text, must be an object or a list of objects`},
		"a number":         {"---\na: 1\n---\n7", `stdin, document 2 is the number 7, must be an object`},
		"a syntax error":   {"a: [", "not YAML: line 1: "},
		"broken JSON":      {`{"name": "a",`, "neither JSON nor YAML: "},
		"two JSON objects": {`{"name":"a"}{"name":"b"}`, "more than one JSON value"},
		"a number as item": {"items: [1]", "items[0] is the number 1, must be an object"},
		"null as item":     {"[null]", "stdin: [0] is null, must be an object"},
		"items of a kind":  {"items: {a: b}", "items is an object, must be a list"},
		"no items":         {"items:\n", "stdin: no environment found"},
		"nothing":          {"---\n", "stdin: no environment found"},
		"the same name":    {"name: a\n---\nname: a", "stdin, document 2: environment a is in stdin, document 1, too"},
		"the same field":   {`{"a":{"b":[{"c":1,"c":2}]}}`, "field a.b[0].c is given twice"},
		"a key of numbers": {"a: [{1: b}]", "document 1: field a[0].1 must be text"},
		"no number":        {"a: {b: .nan}", "document 1: a.b is NaN, must be a finite number"},
		"a date":           {"a: 2026-01-02", "document 1: a is a date: put it in quotes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read([]string{"-"}, false, strings.NewReader(tc.text))
			assert.ErrorContains(t, err, tc.want)
		})
	}
	_, err := Read([]string{t.TempDir()}, false, nil)
	assert.ErrorContains(t, err, "no file ends in .yml, .yaml or .json")
	_, err = Read([]string{filepath.Join(t.TempDir(), "missing.yml")}, false, nil)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestValidate_NamesEveryProblem(t *testing.T) {
	for name, tc := range map[string]struct{ fields, want string }{
		"valid":           {`{"name":"a","instanceGroup":{"cluster":"c"},"taskDefinition":"agent"}`, ""},
		"of a service":    {`{"name":"a","fromService":{"service":"s"},"instanceGroup":{"cluster":"c"}}`, ""},
		"null is default": {`{"name":"a","instanceGroup":{"cluster":"c"},"taskDefinition":"a","drainOrder":null}`, ""},
		"unknown fields": {`{"name":"a","color":"red","taskSettings":{"tags":[{"kay":"b"}]}}`,
			"f: unknown field \"color\"\nf: unknown field \"taskSettings.tags[0].kay\""},
		"a field in another case": {`{"Name":"a"}`, `f: unknown field "Name": use "name"`},
		"wrong types": {`{"name":7,"drainOrder":"4","instanceGroup":"c","scaleInAfterMinutes":1.5,
			"taskSettings":{"enableExecuteCommand":"yes","tags":{}}}`,
			"f: drainOrder is text, must be an integer\nf: instanceGroup is text, must be an object\n" +
				"f: name is the number 7, must be text\nf: scaleInAfterMinutes is the number 1.5, must be an integer\n" +
				"f: taskSettings.enableExecuteCommand is text, must be true or false\n" +
				"f: taskSettings.tags is an object, must be a list"},
		"missing fields": {`{"name":"a","instanceGroup":{}}`, "f: taskDefinition is required\nf: instanceGroup.cluster is required"},
		"a query": {`{"name":"a","instanceGroup":{"cluster":"c","query":"x"},"taskDefinition":"a"}`,
			`f: instanceGroup.query is invalid: column 1: "x" is not a subject`},
		"a range": {`{"name":"a","instanceGroup":{"cluster":"c"},"taskDefinition":"a",` +
			`"deploymentConfiguration":{"minimumHealthyPercent":101}}`,
			"f: deploymentConfiguration.minimumHealthyPercent should be less than or equal to 100"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Document{"f", object(t, tc.fields)}.Validate()
			if tc.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestPatch_LeadsFromThePresentToTheDocument(t *testing.T) {
	present := object(t, `{"name":"a","environmentType":"DAEMON","taskDefinition":"arn:td/agent:1","drainOrder":3,
		"instanceGroup":{"cluster":"arn:aws:ecs:us-east-1:1:cluster/prod","query":"agentConnected == true"},
		"deploymentConfiguration":{"minimumHealthyPercent":90,"canary":{"percent":10}}}`)
	for name, tc := range map[string]struct{ document, want string }{
		"equal": {`{"name":"a","taskDefinition":"arn:td/agent:1","drainOrder":3,"environmentType":"DAEMON",
			"instanceGroup":{"cluster":"prod","query":"agentConnected == true"},
			"deploymentConfiguration":{"minimumHealthyPercent":90,"canary":{"percent":10}}}`, `{}`},
		"fields that it lacks get their defaults": {
			`{"name":"a","taskDefinition":"arn:td/agent:1","instanceGroup":{"cluster":"prod"}}`,
			`{"drainOrder":null,"instanceGroup":{"query":null},"deploymentConfiguration":null}`},
		"null is the same as a lacking field": {
			`{"name":"a","taskDefinition":"arn:td/agent:1","drainOrder":null,
			"instanceGroup":{"cluster":"prod","query":"agentConnected == true"},
			"deploymentConfiguration":{"minimumHealthyPercent":90,"canary":null}}`,
			`{"drainOrder":null,"deploymentConfiguration":{"canary":null}}`},
		"a document of a service keeps what came from the service": {
			`{"name":"a","fromService":{"service":"s"},"instanceGroup":{"cluster":"prod"},"drainOrder":4}`,
			`{"drainOrder":4}`},
		"changes and additions": {`{"name":"a","taskDefinition":"agent:2","drainOrder":4,"readinessAttribute":"r",
			"instanceGroup":{"cluster":"arn:aws:ecs:us-east-1:1:cluster/prod","query":"agentConnected == true"},
			"deploymentConfiguration":{"minimumHealthyPercent":90,"canary":{"query":"q"}}}`,
			`{"taskDefinition":"agent:2","drainOrder":4,"readinessAttribute":"r",
			"deploymentConfiguration":{"canary":{"percent":null,"query":"q"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			patch, err := Document{"f", object(t, tc.document)}.Patch(present)
			require.NoError(t, err)
			got, err := json.Marshal(patch)
			require.NoError(t, err)
			assert.JSONEq(t, tc.want, string(got))
		})
	}
	for document, want := range map[string]string{
		`{"name":"a","instanceGroup":{"cluster":"other"}}`: "instanceGroup.cluster arn:aws:ecs:us-east-1:1:cluster/prod " +
			"cannot change to other",
		`{"name":"a","environmentType":"REPLICA","instanceGroup":{"cluster":"prod"}}`: "environmentType DAEMON cannot change",
	} {
		_, err := Document{"f", object(t, document)}.Patch(present)
		assert.ErrorContains(t, err, want)
	}
}

func TestExport_HasTheFieldsOfARequest(t *testing.T) {
	e := &models.Environment{
		Name: conv.Pointer("a"), TaskDefinition: "agent:1", DeploymentToken: "t", Status: "active", Revision: 3,
		RunningCount: conv.Pointer[int64](2), InstanceGroup: &models.InstanceGroup{Cluster: "c"},
	}
	exported, err := Export(e)
	require.NoError(t, err)
	text, err := json.Marshal(Ordered(exported))
	require.NoError(t, err)
	assert.Equal(t, `{"name":"a","instanceGroup":{"cluster":"c"},"taskDefinition":"agent:1"}`, string(text))

	body, err := json.Marshal(e)
	require.NoError(t, err)
	documents, err := Read([]string{"-"}, false, strings.NewReader(string(body)))
	require.NoError(t, err)
	assert.Equal(t, exported, documents[0].Fields, "a response serves as a document")
}

func TestMerge_FollowsRFC7396(t *testing.T) {
	present := map[string]any{"a": "b", "c": map[string]any{"d": "e", "f": "g"}, "h": "i"}
	patch := map[string]any{"a": "z", "c": map[string]any{"f": nil, "new": map[string]any{"x": "y", "gone": nil}}, "h": nil}
	assert.Equal(t, map[string]any{
		"a": "z", "c": map[string]any{"d": "e", "new": map[string]any{"x": "y"}},
	}, Merge(present, patch))
	assert.Equal(t, "i", present["h"], "the patched fields stay as they are")
	assert.Equal(t, map[string]any{"d": "e", "f": "g"}, present["c"])
}

func TestReadObject_ReadsOneObject(t *testing.T) {
	for text, want := range map[string]string{
		"":                "stdin holds 0 documents, must hold one",
		"a: 1\n---\nb: 2": "stdin holds 2 documents, must hold one",
		"- 1":             "stdin is a list, must be an object",
		"{":               "stdin: neither JSON nor YAML: ",
	} {
		_, err := ReadObject("-", strings.NewReader(text))
		assert.ErrorContains(t, err, want, text)
	}
	object, err := ReadObject("-", strings.NewReader("{\n\t\"failToRun\": {\"bad\": 0.5}}"))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"failToRun": map[string]any{"bad": json.Number("0.5")}}, object)
}
