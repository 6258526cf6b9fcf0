# Unit tests of the rooms base, loop, store, core, net and of v1/message, and what they share (unit.h).
# A test links its room and the rooms below, so that an upward call fails at link time.

if HAVE_CHECK
room_tests = \
	tests/unit/test_balance \
	tests/unit/test_base \
	tests/unit/test_buf \
	tests/unit/test_chunk \
	tests/unit/test_put_content \
	tests/unit/test_peer_reads \
	tests/unit/test_pipe \
	tests/unit/test_commands \
	tests/unit/test_commit \
	tests/unit/test_conf \
	tests/unit/test_conn \
	tests/unit/test_conn_bulk \
	tests/unit/test_conn_end \
	tests/unit/test_conn_time \
	tests/unit/test_congestion \
	tests/unit/test_counters \
	tests/unit/test_dial \
	tests/unit/test_digest \
	tests/unit/test_explain \
	tests/unit/test_hash \
	tests/unit/test_limits \
	tests/unit/test_listener \
	tests/unit/test_listing \
	tests/unit/test_local_file \
	tests/unit/test_log \
	tests/unit/test_loop \
	tests/unit/test_machine \
	tests/unit/test_names \
	tests/unit/test_net \
	tests/unit/test_path \
	tests/unit/test_pid_file \
	tests/unit/test_pool \
	tests/unit/test_privileges \
	tests/unit/test_progress \
	tests/unit/test_registry \
	tests/unit/test_remote \
	tests/unit/test_root \
	tests/unit/test_signal \
	tests/unit/test_signal_handler \
	tests/unit/test_server \
	tests/unit/test_space \
	tests/unit/test_space_max \
	tests/unit/test_stage \
	tests/unit/test_stage_attrs \
	tests/unit/test_stage_io \
	tests/unit/test_stage_next \
	tests/unit/test_stage_part \
	tests/unit/test_stage_pipe \
	tests/unit/test_stammer \
	tests/unit/test_latency \
	tests/unit/test_store \
	tests/unit/test_digest_trail \
	tests/unit/test_stored_digest \
	tests/unit/test_settle \
	tests/unit/test_sum \
	tests/unit/test_timer \
	tests/unit/test_upkeep \
	tests/unit/test_upload_log \
	tests/unit/test_uploads \
	tests/unit/test_utf8 \
	tests/unit/test_v1_message \
	tests/unit/test_v2_both \
	tests/unit/test_v2_client \
	tests/unit/test_v2_frame \
	tests/unit/test_v2_message \
	tests/unit/test_v2_page \
	tests/unit/test_v2_result \
	tests/unit/test_v2_server \
	tests/unit/test_v2_session \
	tests/unit/test_work \
	tests/unit/test_worker_threads

check_PROGRAMS += $(room_tests)
TESTS += $(room_tests)
endif

unit_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(LIBEVENT_CFLAGS) $(CHECK_CFLAGS)
unit_sources = tests/unit/unit.c tests/unit/unit.h
fake_sources = tests/unit/fake_look.c tests/unit/fake_sys.c tests/unit/fake_sys.h tests/unit/put_spec.h
v2_hex_sources = tests/unit/v2_hex.c tests/unit/v2_hex.h
pair_sources = tests/unit/net_pair.c tests/unit/net_pair.h

tests_unit_test_base_CPPFLAGS = $(unit_cppflags)
tests_unit_test_base_SOURCES = tests/unit/test_base.c $(unit_sources)
tests_unit_test_base_LDADD = src/libbase.a $(CHECK_LIBS)

tests_unit_test_buf_CPPFLAGS = $(unit_cppflags)
tests_unit_test_buf_SOURCES = tests/unit/test_buf.c $(unit_sources)
tests_unit_test_buf_LDADD = src/libbase.a $(CHECK_LIBS)

tests_unit_test_peer_reads_CPPFLAGS = $(unit_cppflags)
tests_unit_test_peer_reads_SOURCES = tests/unit/test_peer_reads.c $(unit_sources)
tests_unit_test_peer_reads_LDADD = src/libnet.a src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_hash_CPPFLAGS = $(unit_cppflags)
tests_unit_test_hash_SOURCES = tests/unit/test_hash.c $(unit_sources)
tests_unit_test_hash_LDFLAGS = -Wl,--wrap=getrandom
tests_unit_test_hash_LDADD = src/libbase.a $(DIGEST_LIBS) $(CHECK_LIBS)

tests_unit_test_pipe_CPPFLAGS = $(unit_cppflags)
tests_unit_test_pipe_SOURCES = tests/unit/test_pipe.c $(unit_sources)
tests_unit_test_pipe_LDFLAGS = -Wl,--wrap=pipe2 -Wl,--wrap=fcntl -Wl,--wrap=fcntl64
tests_unit_test_pipe_LDADD = src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_put_content_CPPFLAGS = $(unit_cppflags)
tests_unit_test_put_content_SOURCES = tests/unit/test_put_content.c $(unit_sources)
tests_unit_test_put_content_LDADD = src/libstore.a src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_chunk_CPPFLAGS = $(unit_cppflags)
tests_unit_test_chunk_SOURCES = tests/unit/test_chunk.c $(unit_sources)
tests_unit_test_chunk_LDADD = src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_work_CPPFLAGS = $(unit_cppflags)
tests_unit_test_work_SOURCES = tests/unit/test_work.c $(unit_sources)
tests_unit_test_work_LDADD = src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_log_CPPFLAGS = $(unit_cppflags)
tests_unit_test_log_SOURCES = tests/unit/test_log.c $(unit_sources)
tests_unit_test_log_LDADD = src/libbase.a $(CHECK_LIBS)

tests_unit_test_utf8_CPPFLAGS = $(unit_cppflags)
tests_unit_test_utf8_SOURCES = tests/unit/test_utf8.c $(unit_sources)
tests_unit_test_utf8_LDADD = src/libbase.a $(CHECK_LIBS)

tests_unit_test_timer_CPPFLAGS = $(unit_cppflags)
tests_unit_test_timer_SOURCES = tests/unit/test_timer.c $(unit_sources)
tests_unit_test_timer_LDADD = src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_balance_CPPFLAGS = $(unit_cppflags)
tests_unit_test_balance_SOURCES = tests/unit/test_balance.c $(unit_sources)
tests_unit_test_balance_LDADD = src/libdaemon.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_congestion_CPPFLAGS = $(unit_cppflags)
tests_unit_test_congestion_SOURCES = tests/unit/test_congestion.c $(unit_sources)
tests_unit_test_congestion_LDADD = src/libnet.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_counters_CPPFLAGS = $(unit_cppflags)
tests_unit_test_counters_SOURCES = tests/unit/test_counters.c $(unit_sources)
tests_unit_test_counters_LDADD = src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_worker_threads_CPPFLAGS = $(unit_cppflags)
tests_unit_test_worker_threads_SOURCES = tests/unit/test_worker_threads.c $(unit_sources)
tests_unit_test_worker_threads_LDADD = src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_loop_CPPFLAGS = $(unit_cppflags)
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c $(unit_sources)
tests_unit_test_loop_LDADD = src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_signal_CPPFLAGS = $(unit_cppflags)
tests_unit_test_signal_SOURCES = tests/unit/test_signal.c $(unit_sources)
tests_unit_test_signal_LDADD = src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

# The same for systems without signalfd(2).
tests_unit_test_signal_handler_CPPFLAGS = $(unit_cppflags) -DWITHOUT_SIGNALFD
tests_unit_test_signal_handler_SOURCES = \
	tests/unit/test_signal.c tests/unit/signal_handler.c $(unit_sources)
tests_unit_test_signal_handler_LDADD = src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_pool_CPPFLAGS = $(unit_cppflags)
tests_unit_test_pool_SOURCES = \
	tests/unit/test_pool.c tests/unit/test_pool.h \
	tests/unit/test_pool_lanes.c \
	tests/unit/test_pool_batch.c \
	$(unit_sources)
tests_unit_test_pool_LDADD = src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_path_CPPFLAGS = $(unit_cppflags)
tests_unit_test_path_SOURCES = \
	tests/unit/test_path.c tests/unit/test_path.h \
	tests/unit/test_path_name.c \
	$(unit_sources)
tests_unit_test_path_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_digest_CPPFLAGS = $(unit_cppflags) $(DIGEST_CFLAGS)
tests_unit_test_digest_SOURCES = tests/unit/test_digest.c $(unit_sources)
tests_unit_test_digest_LDADD = src/libstore.a src/libbase.a $(DIGEST_LIBS) $(CHECK_LIBS)

tests_unit_test_space_CPPFLAGS = $(unit_cppflags)
tests_unit_test_space_SOURCES = tests/unit/test_space.c $(unit_sources)
tests_unit_test_space_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_space_max_CPPFLAGS = $(unit_cppflags)
tests_unit_test_space_max_SOURCES = tests/unit/test_space_max.c $(fake_sources) $(unit_sources)
tests_unit_test_space_max_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_stage_CPPFLAGS = $(unit_cppflags)
tests_unit_test_stage_SOURCES = tests/unit/test_stage.c $(fake_sources) $(unit_sources)
tests_unit_test_stage_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_stage_attrs_CPPFLAGS = $(unit_cppflags)
tests_unit_test_stage_attrs_SOURCES = tests/unit/test_stage_attrs.c $(fake_sources) $(unit_sources)
tests_unit_test_stage_attrs_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_commit_CPPFLAGS = $(unit_cppflags)
tests_unit_test_commit_SOURCES = tests/unit/test_commit.c $(fake_sources) $(unit_sources)
tests_unit_test_commit_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_stage_io_CPPFLAGS = $(unit_cppflags)
tests_unit_test_stage_io_SOURCES = tests/unit/test_stage_io.c $(fake_sources) $(unit_sources)
tests_unit_test_stage_io_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_stage_next_CPPFLAGS = $(unit_cppflags)
tests_unit_test_stage_next_SOURCES = tests/unit/test_stage_next.c $(fake_sources) $(unit_sources)
tests_unit_test_stage_next_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_stage_part_CPPFLAGS = $(unit_cppflags)
tests_unit_test_stage_part_SOURCES = tests/unit/test_stage_part.c $(fake_sources) $(unit_sources)
tests_unit_test_stage_part_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_stage_pipe_CPPFLAGS = $(unit_cppflags)
tests_unit_test_stage_pipe_SOURCES = tests/unit/test_stage_pipe.c $(fake_sources) $(unit_sources)
tests_unit_test_stage_pipe_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_root_CPPFLAGS = $(unit_cppflags)
tests_unit_test_root_SOURCES = \
	tests/unit/test_root.c tests/unit/test_root.h \
	tests/unit/test_root_sweep.c \
	$(fake_sources) $(unit_sources)
tests_unit_test_root_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_store_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_SOURCES = \
	tests/unit/test_store.c tests/unit/test_store.h \
	tests/unit/test_store_at_once.c \
	tests/unit/test_store_close.c \
	tests/unit/test_store_get.c tests/unit/test_store_whole.c tests/unit/test_store_meta.c tests/unit/test_store_now.c \
	tests/unit/test_store_reader.c \
	tests/unit/test_store_request.c \
	tests/unit/test_resume.c tests/unit/test_resume.h \
	tests/unit/test_store_owner.c \
	tests/unit/test_store_resume.c \
	tests/unit/test_store_takeover.c \
	tests/unit/test_store_unsynced.c \
	$(fake_sources) $(unit_sources)
tests_unit_test_store_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_digest_trail_CPPFLAGS = $(unit_cppflags)
tests_unit_test_digest_trail_SOURCES = tests/unit/test_digest_trail.c $(unit_sources)
tests_unit_test_digest_trail_LDADD = src/libstore.a src/libbase.a $(DIGEST_LIBS) $(CHECK_LIBS)

tests_unit_test_stored_digest_CPPFLAGS = $(unit_cppflags)
tests_unit_test_stored_digest_SOURCES = tests/unit/test_stored_digest.c $(fake_sources) $(unit_sources)
tests_unit_test_stored_digest_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_names_CPPFLAGS = $(unit_cppflags)
tests_unit_test_names_SOURCES = \
	tests/unit/test_names.c tests/unit/test_names.h \
	tests/unit/test_names_move.c \
	$(fake_sources) $(unit_sources)
tests_unit_test_names_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_listing_CPPFLAGS = $(unit_cppflags)
tests_unit_test_listing_SOURCES = tests/unit/test_listing.c $(fake_sources) $(unit_sources)
tests_unit_test_listing_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_settle_CPPFLAGS = $(unit_cppflags)
tests_unit_test_settle_SOURCES = tests/unit/test_settle.c $(unit_sources)
tests_unit_test_settle_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)
tests_unit_test_upload_log_CPPFLAGS = $(unit_cppflags)
tests_unit_test_upload_log_SOURCES = tests/unit/test_upload_log.c $(fake_sources) $(unit_sources)
tests_unit_test_upload_log_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_uploads_CPPFLAGS = $(unit_cppflags)
tests_unit_test_uploads_SOURCES = \
	tests/unit/test_uploads.c tests/unit/test_uploads.h \
	tests/unit/test_uploads_claims.c \
	tests/unit/test_uploads_limits.c \
	$(fake_sources) $(unit_sources)
tests_unit_test_uploads_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_sum_CPPFLAGS = $(unit_cppflags)
tests_unit_test_sum_SOURCES = tests/unit/test_sum.c $(unit_sources)
tests_unit_test_sum_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_registry_CPPFLAGS = $(unit_cppflags)
tests_unit_test_registry_SOURCES = tests/unit/test_registry.c $(unit_sources)
tests_unit_test_registry_LDADD = src/libcore.a src/libbase.a $(DIGEST_LIBS) $(CHECK_LIBS)

tests_unit_test_limits_CPPFLAGS = $(unit_cppflags)
tests_unit_test_limits_SOURCES = tests/unit/test_limits.c $(unit_sources)
tests_unit_test_limits_LDADD = src/libcore.a src/libbase.a $(DIGEST_LIBS) $(CHECK_LIBS)

tests_unit_test_v1_message_CPPFLAGS = $(unit_cppflags)
tests_unit_test_v1_message_SOURCES = tests/unit/test_v1_message.c $(unit_sources)
tests_unit_test_v1_message_LDADD = src/libv1message.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_v2_both_CPPFLAGS = $(unit_cppflags)
tests_unit_test_v2_both_SOURCES = tests/unit/test_v2_both.c $(unit_sources)
tests_unit_test_v2_both_LDADD = src/libv2client.a src/libv2server.a src/libv2message.a src/libcore.a \
	src/libnet.a src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_v2_client_CPPFLAGS = $(unit_cppflags)
tests_unit_test_v2_client_SOURCES = \
	tests/unit/test_v2_client.c tests/unit/test_v2_client.h \
	tests/unit/test_v2_client_ask.c \
	tests/unit/test_v2_client_put.c tests/unit/test_v2_client_put.h \
	tests/unit/test_v2_client_stream.c \
	tests/unit/test_v2_client_get.c tests/unit/test_v2_client_get.h \
	tests/unit/test_v2_client_resume.c tests/unit/test_v2_client_part.c \
	tests/unit/test_v2_client_whole.c tests/unit/test_v2_client_window.c \
	tests/unit/v2_peer.c tests/unit/v2_peer.h \
	$(fake_sources) $(unit_sources)
tests_unit_test_v2_client_LDADD = src/libv2client.a src/libv2message.a src/libnet.a src/libstore.a \
	src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_v2_frame_CPPFLAGS = $(unit_cppflags)
tests_unit_test_v2_frame_SOURCES = tests/unit/test_v2_frame.c $(v2_hex_sources) $(unit_sources)
tests_unit_test_v2_frame_LDADD = src/libv2message.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_v2_message_CPPFLAGS = $(unit_cppflags)
tests_unit_test_v2_message_SOURCES = tests/unit/test_v2_message.c $(v2_hex_sources) $(unit_sources)
tests_unit_test_v2_message_LDADD = src/libv2message.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_v2_page_CPPFLAGS = $(unit_cppflags)
tests_unit_test_v2_page_SOURCES = tests/unit/test_v2_page.c $(v2_hex_sources) $(unit_sources)
tests_unit_test_v2_page_LDADD = src/libv2message.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_v2_result_CPPFLAGS = $(unit_cppflags)
tests_unit_test_v2_result_SOURCES = tests/unit/test_v2_result.c $(unit_sources)
tests_unit_test_v2_result_LDADD = src/libv2message.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_v2_server_CPPFLAGS = $(unit_cppflags)
tests_unit_test_v2_server_SOURCES = \
	tests/unit/test_v2_server.c tests/unit/test_v2_server.h \
	tests/unit/test_v2_server_turns.c \
	tests/fuzz/step_pool.c tests/fuzz/step_pool.h \
	tests/pair/pair_stage.c tests/pair/pair_stage.h $(unit_sources)
tests_unit_test_v2_server_LDADD = src/libv2server.a src/libv2message.a \
	src/libv1server.a src/libv1client.a src/libv1message.a src/libnet.a src/libcore.a \
	src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_v2_session_CPPFLAGS = $(unit_cppflags)
tests_unit_test_v2_session_SOURCES = tests/unit/test_v2_session.c $(v2_hex_sources) $(unit_sources)
tests_unit_test_v2_session_LDADD = src/libv2message.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_net_CPPFLAGS = $(unit_cppflags)
tests_unit_test_net_SOURCES = tests/unit/test_net.c
tests_unit_test_net_LDADD = src/libnet.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_conn_CPPFLAGS = $(unit_cppflags)
tests_unit_test_conn_SOURCES = tests/unit/test_conn.c $(pair_sources) $(unit_sources)
tests_unit_test_conn_LDADD = src/libnet.a src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_conn_bulk_CPPFLAGS = $(unit_cppflags)
tests_unit_test_conn_bulk_SOURCES = tests/unit/test_conn_bulk.c $(pair_sources) $(unit_sources)
tests_unit_test_conn_bulk_LDADD = src/libnet.a src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_conn_end_CPPFLAGS = $(unit_cppflags)
tests_unit_test_conn_end_SOURCES = tests/unit/test_conn_end.c $(pair_sources) $(unit_sources)
tests_unit_test_conn_end_LDADD = src/libnet.a src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_conn_time_CPPFLAGS = $(unit_cppflags)
tests_unit_test_conn_time_SOURCES = tests/unit/test_conn_time.c $(pair_sources) $(unit_sources)
tests_unit_test_conn_time_LDADD = src/libnet.a src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_machine_CPPFLAGS = $(unit_cppflags)
tests_unit_test_machine_SOURCES = \
	tests/unit/test_machine.c tests/unit/test_machine.h \
	tests/unit/test_machine_end.c \
	tests/unit/test_machine_rate.c \
	tests/unit/test_machine_time.c \
	$(pair_sources) $(unit_sources)
tests_unit_test_machine_LDADD = src/libnet.a src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_dial_CPPFLAGS = $(unit_cppflags)
tests_unit_test_dial_SOURCES = tests/unit/test_dial.c $(unit_sources)
tests_unit_test_dial_LDADD = src/libnet.a src/libloop.a src/libbase.a $(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_conf_CPPFLAGS = $(unit_cppflags)
tests_unit_test_conf_LDADD = src/libconf.a src/libbase.a $(LIBCONFIG_LIBS) $(CHECK_LIBS)
tests_unit_test_conf_SOURCES = \
	tests/unit/conf_sample.h \
	tests/unit/test_conf.c tests/unit/test_conf.h \
	tests/unit/test_conf_cmdline.c \
	tests/unit/test_conf_file.c \
	tests/unit/test_conf_include.c

tests_unit_test_latency_CPPFLAGS = $(unit_cppflags)
tests_unit_test_latency_SOURCES = tests/unit/test_latency.c $(unit_sources)
tests_unit_test_latency_LDADD = src/libstammer.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_stammer_CPPFLAGS = $(unit_cppflags)
tests_unit_test_stammer_SOURCES = tests/unit/test_stammer.c
tests_unit_test_stammer_LDADD = src/libstammer.a src/libconf.a src/libnet.a src/libbase.a \
	$(LIBEVENT_LIBS) $(LIBCONFIG_LIBS) $(CHECK_LIBS)

tests_unit_test_local_file_CPPFLAGS = $(unit_cppflags)
tests_unit_test_local_file_SOURCES = tests/unit/test_local_file.c $(unit_sources)
tests_unit_test_local_file_LDADD = src/libclient.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_commands_CPPFLAGS = $(unit_cppflags)
tests_unit_test_commands_SOURCES = tests/unit/test_commands.c $(unit_sources)
tests_unit_test_commands_LDADD = src/libcli.a src/libclient.a src/libconf.a src/libbase.a \
	$(LIBCONFIG_LIBS) $(CHECK_LIBS)

tests_unit_test_remote_CPPFLAGS = $(unit_cppflags)
tests_unit_test_remote_SOURCES = tests/unit/test_remote.c $(unit_sources)
tests_unit_test_remote_LDADD = src/libclient.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_explain_CPPFLAGS = $(unit_cppflags)
tests_unit_test_explain_SOURCES = tests/unit/test_explain.c $(unit_sources)
tests_unit_test_explain_LDADD = src/libclient.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_progress_CPPFLAGS = $(unit_cppflags)
tests_unit_test_progress_SOURCES = tests/unit/test_progress.c $(unit_sources)
tests_unit_test_progress_LDADD = src/libcli.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_listener_CPPFLAGS = $(unit_cppflags)
tests_unit_test_listener_SOURCES = tests/unit/test_listener.c $(unit_sources)
tests_unit_test_listener_LDADD = src/libdaemon.a src/libnet.a src/libloop.a src/libbase.a \
	$(LIBEVENT_LIBS) $(CHECK_LIBS)

tests_unit_test_pid_file_CPPFLAGS = $(unit_cppflags)
tests_unit_test_pid_file_SOURCES = tests/unit/test_pid_file.c $(unit_sources)
tests_unit_test_pid_file_LDADD = src/libdaemon.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_server_CPPFLAGS = $(unit_cppflags)
tests_unit_test_server_SOURCES = tests/unit/test_server.c $(unit_sources)
tests_unit_test_server_LDADD = \
	src/libdaemon.a src/libv2server.a src/libv2message.a src/libv1server.a src/libv1message.a src/libnet.a src/libcore.a \
	src/libstore.a src/libloop.a src/libconf.a src/libbase.a \
	$(DIGEST_LIBS) $(LIBEVENT_LIBS) $(LIBCONFIG_LIBS) $(LIBSYSTEMD_LIBS) $(CHECK_LIBS)

tests_unit_test_privileges_CPPFLAGS = $(unit_cppflags)
tests_unit_test_privileges_SOURCES = \
	tests/unit/test_privileges.c tests/unit/test_privileges.h \
	tests/unit/test_privileges_landlock.c \
	tests/unit/fake_landlock.c tests/unit/fake_landlock.h \
	$(unit_sources)
tests_unit_test_privileges_LDADD = src/libdaemon.a src/libbase.a $(CHECK_LIBS)

tests_unit_test_upkeep_CPPFLAGS = $(unit_cppflags)
tests_unit_test_upkeep_SOURCES = tests/unit/test_upkeep.c $(unit_sources)
tests_unit_test_upkeep_LDADD = src/libdaemon.a src/libstore.a src/libloop.a src/libbase.a \
	$(DIGEST_LIBS) $(LIBEVENT_LIBS) $(CHECK_LIBS)
