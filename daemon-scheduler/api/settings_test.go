package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// fill gives every field a value of its own.
func fill(v reflect.Value, next *int) {
	*next++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), next)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), next)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), next)
	case reflect.String:
		v.SetString("text " + string(rune('a'+*next%26)))
	case reflect.Bool:
		v.SetBool(true)
	default:
		v.SetInt(int64(*next))
	}
}

// Every field of a spec comes back from the form in which clients see and edit it.
func TestSettingsSurvive(t *testing.T) {
	var spec environment.Spec
	fill(reflect.ValueOf(&spec).Elem(), new(int))
	e := environment.Create("logs", "arn:cluster", "token", spec, time.Time{})
	data, err := json.Marshal(edit(e))
	require.NoError(t, err)
	again := &models.UpdateEnvironmentRequest{}
	require.NoError(t, json.Unmarshal(data, again))
	assert.Equal(t, spec, wants(again))
	assert.Equal(t, environment.Spec{}, wants(edit(environment.Environment{})))
}

func FuzzReadPatch(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"taskDefinition":"agent:2"}`, `{"instanceGroup":{"query":null,"attributes":[{"name":"a"}]}}`, `{"taskSettings":{"tags":[null]}}`,
		`{"deploymentConfiguration":{"canary":{"percent":5}}}`, `{"TaskDefinition":"x"}`, `[]`, `null`, `{"drainOrder":1e400}`, `{"a":{"b":[{}]}}`,
		`{"taskSettings":{"networkConfiguration":{"awsvpcConfiguration":{"subnets":[null]}}}}`, `{"taskSettings":{"overrides":{"containerOverrides":[{"cpu":1e99}]}}}`,
	} {
		f.Add(seed)
	}
	e := environment.New("logs", "arn:cluster", "arn:td:1", "token")
	f.Fuzz(func(t *testing.T, body string) {
		asked, err := readPatch(strings.NewReader(body), e)
		if err != nil {
			return
		}
		spec := wants(asked)
		if spec.TaskDefinition == "" {
			t.Fatalf("%q: no task definition", body)
		}
		_ = spec.Problems(environment.Definition{})
	})
}
