from interpfer.statistics.subjects import count_unknown, number_subjects


def test_an_image_without_a_subject_is_its_own_person() -> None:
    numbers = number_subjects(["b", "", "a", None, "b"])
    assert numbers is not None
    assert numbers.tolist() == [1, 2, 0, 3, 1]
    assert number_subjects(["", None]) is None
    assert count_unknown(["b", "", None]) == 2
