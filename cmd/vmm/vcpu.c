/* SPDX-License-Identifier: Apache-2.0 */
/* vCPU threads; see vcpu.h. */
#include "cmd/vmm/vcpu.h"

#include "cmd/vmm/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* They run in software on until they are told. */
static void kick_all(struct machine *m)
{
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		m->ops->vcpu_kick(m->vcpus[i].accel);
}

static void park(struct vcpu *v)
{
	struct machine *m = v->m;

	m->n_parked++;
	pthread_cond_signal(&m->parked);
	while (m->paused)
		pthread_cond_wait(&m->resumed, &m->lock);
	m->n_parked--;
}

/* The state in which it enters a kernel; NULL: it does not. */
static const struct cpu_boot_state *entered(const struct vcpu *v)
{
	return v->index == 0 && !v->m->firmware.bytes ? &v->m->boot : NULL;
}

/*
 * Waits while paused, and resets if it has been asked for. Nobody goes on before all have reset: the
 * boot processor would start others that then forget it. Lock held.
 */
static int before_entry(struct vcpu *v)
{
	struct machine *m = v->m;
	int r;

	for (;;) {
		if (m->paused) {
			park(v);
		} else if (v->generation != m->generation) {
			v->generation = m->generation;
			r = m->ops->vcpu_reset(v->accel, entered(v));
			if (r < 0)
				return r;
			m->n_reset++;
			pthread_cond_broadcast(&m->resumed);
		} else if (m->n_reset < m->n_vcpus) {
			pthread_cond_wait(&m->resumed, &m->lock);
		} else {
			return 0;
		}
	}
}

static uint64_t load_le(const uint8_t *data, unsigned int width)
{
	uint64_t v = 0;

	memcpy(&v, data, width);
	return v;
}

static void access_bus(struct bus *bus, const struct accel_exit *e)
{
	if (e->width > sizeof(uint64_t))
		return; /* no accelerator does that */
	if (!e->write) {
		bus_read_run(bus, e->address, e->width, e->count, e->data);
		return;
	}
	for (uint32_t i = 0; i < e->count; i++)
		bus_write(bus, e->address, e->width,
			  load_le(e->data + (size_t)i * e->width, e->width));
}

static void handle_exit(struct machine *m, const struct accel_exit *e)
{
	switch (e->kind) {
	case ACCEL_EXIT_NONE:
		break;
	case ACCEL_EXIT_PIO:
		access_bus(&m->pio, e);
		break;
	case ACCEL_EXIT_MMIO:
		access_bus(&m->mmio, e);
		break;
	case ACCEL_EXIT_EOI:
		ioapic_eoi(&m->ioapic, e->eoi_vector);
		break;
	case ACCEL_EXIT_SHUTDOWN:
		machine_crash(m, "the guest's CPU shut down (triple fault)");
		break;
	case ACCEL_EXIT_RESET:
		machine_request(m, MACHINE_RESET);
		break;
	case ACCEL_EXIT_PANIC:
		machine_request(m, MACHINE_PANIC);
		break;
	case ACCEL_EXIT_BROKEN:
		machine_crash(m, e->why);
		break;
	}
}

/* What a software CPU calls in the middle of an instruction. */
void vcpu_access(void *machine, const struct accel_exit *e)
{
	struct machine *m = machine;

	pthread_mutex_lock(&m->lock);
	handle_exit(m, e);
	if (m->paused)
		kick_all(m);
	pthread_mutex_unlock(&m->lock);
}

/* Runs the guest until that fails. Lock held. */
static int run_guest(struct vcpu *v)
{
	struct machine *m = v->m;
	struct accel_exit e = { .kind = ACCEL_EXIT_NONE };
	int r;

	for (;;) {
		handle_exit(m, &e);
		r = before_entry(v);
		if (r < 0)
			return r;
		pthread_mutex_unlock(&m->lock);
		r = m->ops->vcpu_run(v->accel, &e);
		pthread_mutex_lock(&m->lock);
		if (r < 0)
			return r;
	}
}

/* Comes back from the guest only in failure; parks then, and the main thread ends the VM. */
static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;
	struct machine *m = v->m;
	int r = m->ops->vcpu_enter_thread(v->accel);

	if (r == 0)
		r = sandbox_enter_thread(v->filter);
	pthread_mutex_lock(&m->lock);
	if (r == 0)
		r = run_guest(v);
	machine_fail(m, "vCPU %u: %s", v->index, strerrordesc_np(-r));
	while (m->paused)
		park(v);
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

static int start_one(struct machine *m, struct vcpu *v)
{
	pthread_attr_t attr;
	int r = m->ops->vcpu_create(m->accel, v->index, &v->accel);

	if (r < 0)
		return r;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK);
	r = pthread_create(&v->thread, &attr, vcpu_thread, v);
	pthread_attr_destroy(&attr);
	return -r;
}

static void wait_all_parked(struct machine *m)
{
	while (m->n_parked < m->n_vcpus)
		pthread_cond_wait(&m->parked, &m->lock);
}

int vcpus_start(struct machine *m, const struct sandbox_policy *policy)
{
	static struct sandbox_filter filter; /* for as long as threads may still load it */
	int r = sandbox_prepare_thread(policy, &filter);

	if (r < 0)
		return r;
	m->vcpus = calloc(m->n_vcpus, sizeof(m->vcpus[0]));
	if (!m->vcpus)
		return -ENOMEM;
	m->paused = true;
	for (unsigned int i = 0; i < m->n_vcpus; i++) {
		m->vcpus[i] = (struct vcpu){ .m = m, .index = i, .filter = &filter };
		r = start_one(m, &m->vcpus[i]);
		if (r < 0)
			return r;
	}
	pthread_mutex_lock(&m->lock);
	wait_all_parked(m);
	pthread_mutex_unlock(&m->lock);
	return m->request == MACHINE_FAIL ? -EPERM : 0;
}

void vcpus_pause(struct machine *m)
{
	m->paused = true;
	pthread_cond_broadcast(&m->resumed);
	kick_all(m);
	wait_all_parked(m);
}

void vcpus_resume(struct machine *m, bool reset)
{
	if (reset) {
		m->generation++;
		m->n_reset = 0;
	}
	m->paused = false;
	pthread_cond_broadcast(&m->resumed);
}
