package informer

import "reflect"

// internedValues is the number of values in a period of an interner.
const internedValues = 1 << 13

// interner replaces equal strings and equal objects of decoded records by one of them. Container instances of one type
// have the same attributes and resources, and tasks the same definitions and statuses, so a large copy needs a fraction
// of the memory. Records thus share what they point to: readers must not change it.
//
// The interner holds the values of two periods. A period ends after a number of new values. A value that was decoded
// in the current or the previous period is known; others are forgotten, so that ARNs and times, which occur only once,
// do not accumulate.
type interner struct {
	period            int // number of values
	current, previous generation
}

// generation holds the values that were decoded in one period.
type generation struct {
	strings map[string]*string
	objects map[any]reflect.Value // pointers to other types than string, by what they point to
}

func newGeneration() generation { return generation{map[string]*string{}, map[any]reflect.Value{}} }

func newInterner() *interner { return &interner{internedValues, newGeneration(), newGeneration()} }

// intern shares the parts of the object that value points to.
func (n *interner) intern(value any) {
	n.shareParts(reflect.ValueOf(value).Elem())
	if len(n.current.strings)+len(n.current.objects) > n.period {
		n.current, n.previous = newGeneration(), n.current
	}
}

func (n *interner) shareParts(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(*n.sharedString(v.String()))
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if s, ok := v.Interface().(*string); ok {
			v.Set(reflect.ValueOf(n.sharedString(*s)))
			return
		}
		n.shareParts(v.Elem())
		// Equal parts now have equal pointers, so that structs without slices are equal if their content is. The models
		// have no interfaces, so that a comparable type has comparable values.
		if v.Type().Elem().Comparable() {
			v.Set(n.sharedObject(v))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			n.shareParts(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			n.shareParts(v.Index(i))
		}
	default: // numbers and booleans are no larger than a pointer
	}
}

func (n *interner) sharedString(s string) *string {
	shared, known := n.current.strings[s]
	if !known {
		if shared, known = n.previous.strings[s]; !known {
			own := s // the parameter would be allocated in every call
			shared = &own
		}
		n.current.strings[*shared] = shared
	}
	return shared
}

func (n *interner) sharedObject(pointer reflect.Value) reflect.Value {
	content := pointer.Elem().Interface()
	shared, known := n.current.objects[content]
	if !known {
		if shared, known = n.previous.objects[content]; !known {
			shared = reflect.ValueOf(pointer.Interface()) // pointer itself is a field, which would keep its record
		}
		n.current.objects[content] = shared
	}
	return shared
}
