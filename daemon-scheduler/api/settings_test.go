package api

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// fill sets every field to a distinct value.
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

// Editing a spec without changes restores it.
func TestSpecFromRequest_RestoresEveryField(t *testing.T) {
	var spec environment.Spec
	fill(reflect.ValueOf(&spec).Elem(), new(int))
	e := environment.Create("logs", "arn:cluster", "token", spec, time.Time{})
	data, err := json.Marshal(editableSpec(e))
	require.NoError(t, err)
	decoded := &models.UpdateEnvironmentRequest{}
	require.NoError(t, json.Unmarshal(data, decoded))
	assert.Equal(t, spec, specFromRequest(decoded))
	assert.Equal(t, environment.Spec{}, specFromRequest(editableSpec(environment.Environment{})))
}
