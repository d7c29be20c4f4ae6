package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// firstFields are the fields with which an exported document begins.
var firstFields = []string{"name", "environmentType", "instanceGroup", "taskDefinition"}

// observed are the fields that only responses have.
var observed = func() map[string]bool {
	fields := jsonFields(models.Environment{})
	for settable := range jsonFields(models.CreateEnvironmentRequest{}) {
		delete(fields, settable)
	}
	return fields
}()

// jsonFields returns the names of a model's fields in JSON.
func jsonFields(model any) map[string]bool {
	names := map[string]bool{}
	for t, n := reflect.TypeOf(model), 0; n < t.NumField(); n++ {
		name, _, _ := strings.Cut(t.Field(n).Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}

// dropObserved removes the fields that only responses have, so that a response serves as a document.
func dropObserved(fields map[string]any) {
	maps.DeleteFunc(fields, func(field string, _ any) bool { return observed[field] })
}

// Export returns the document that describes the environment as it is: the fields that a request can set.
func Export(e *models.Environment) (map[string]any, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode environment: %w", err)
	}
	value, err := decodeJSON(body)
	if err != nil {
		return nil, fmt.Errorf("decode environment: %w", err)
	}
	fields, _ := value.(map[string]any)
	dropObserved(fields)
	return fields, nil
}

// Ordered is a document whose JSON begins with its most important fields. The others follow by name.
type Ordered map[string]any

// MarshalJSON implements json.Marshaler.
func (o Ordered) MarshalJSON() ([]byte, error) {
	names := slices.DeleteFunc(slices.Clone(firstFields), func(name string) bool { _, has := o[name]; return !has })
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains(firstFields, name) {
			names = append(names, name)
		}
	}
	out := bytes.NewBufferString("{")
	for n, name := range names {
		if n > 0 {
			out.WriteByte(',')
		}
		value, err := json.Marshal(o[name])
		if err != nil {
			return nil, fmt.Errorf("encode field %s: %w", name, err)
		}
		fmt.Fprintf(out, "%q:%s", name, value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
