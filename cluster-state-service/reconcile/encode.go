package reconcile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// envelope is the form of an EventBridge event: what is read from ECS is stored as an event would be.
type envelope struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     any      `json:"detail"`
}

// encode wraps what Describe returned of an entity; extra members that the API leaves out are added to it.
func encode(detailType, entityARN string, detail any, extra map[string]any, now time.Time) ([]byte, error) {
	a, err := arn.Parse(entityARN)
	if err != nil {
		return nil, err
	}
	members, _ := plain(reflect.ValueOf(detail)).(map[string]any)
	for name, value := range extra {
		members[name] = value
	}
	body, err := json.Marshal(envelope{
		Version: "0", DetailType: detailType, Source: "aws.ecs", Account: a.Account, Time: state.Timestamp(now), Region: a.Region,
		Resources: []string{entityARN}, Detail: members,
	})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", entityARN, err)
	}
	return body, nil
}

// plain makes of the SDK's structs what the API's JSON holds: the SDK's field names are the API's members with a capital
// first letter. Nothing is left out that the API knows, as its members grow. Absent members are left out; times are
// those of events.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		if at, ok := v.Interface().(*time.Time); ok {
			return state.Timestamp(*at)
		}
		return plain(v.Elem())
	case reflect.Struct:
		members := map[string]any{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || absent(v.Field(i)) {
				continue
			}
			if value := plain(v.Field(i)); value != nil {
				members[strings.ToLower(field.Name[:1])+field.Name[1:]] = value
			}
		}
		return members
	case reflect.Slice:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = plain(v.Index(i))
		}
		return items
	}
	return v.Interface()
}

// absent tells what the API did not send: a nil, or the empty string of an enumeration.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}
