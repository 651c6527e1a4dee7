// Package prefetch asks the processor for memory before it is needed. Go has no
// word for that, and a load that is not there yet holds up what comes after it.
package prefetch

// Line is how many bytes a cache line has where it is asked for; where lines
// are longer, asking twice for one does no harm.
const Line = 64

// Each asks for so many lines at every address, and waits for none. It is a
// hint, of which a processor without a word for it hears nothing: nothing at
// the addresses is read, and they need not be anybody's.
func Each(at []uintptr, lines int) {
	if len(at) > 0 && lines > 0 {
		each(&at[0], len(at), lines)
	}
}
